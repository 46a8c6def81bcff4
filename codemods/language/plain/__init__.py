"""Old kernels in plainer Python: what the new language has no word for, said with what it has.

Each rule here turns code of the old language into code of the old language that does the same: functions
inside of functions become functions of the file, comprehensions become loops. The translation that follows
sees only the plainer code, and :mod:`.carry` takes what it says back to the file as it is written.
"""
