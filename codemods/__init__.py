"""The codemods: what nkimigrate finds in a file and how it rewrites it.

Analysis runs on :mod:`ast`; only :mod:`.edit.apply` imports libcst. Installed as ``nkimigrate.codemods``.
"""
