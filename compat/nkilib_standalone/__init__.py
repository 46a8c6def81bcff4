"""Reserved for the import root that release 2.28 dropped; there is nothing in it yet.

Code that still says ``from nkilib_standalone.nkilib…`` does not run with this package today: migrate it with
``nkimigrate``. The root comes back together with ``nkilib.compat``.
"""
