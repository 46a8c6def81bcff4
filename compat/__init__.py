"""The names and signatures of release 2.27 over the kernels of 2.28, for code that is not migrated yet.

``import nkilib.compat``, which ``nkilib_standalone`` and ``nkilib_src`` do, makes old import paths, names and
argument lists work in the process, beside the new ones. Each use warns once for its line, with the new
spelling and the command that writes it. ``docs/compat.md`` lists what is bridged and what is not.

    import nkilib.compat
    nkilib.compat.strict()                    # in CI: legacy spellings are errors
    with nkilib.compat.legacy_behaviour():    # what 2.27 computed, where that is known
        ...

All of it follows the release table of ``nkimigrate``, which the codemods follow, too.
"""

from .finders import alias_root, install
from .modes import legacy_behaviour, strict

__all__ = ["alias_root", "legacy_behaviour", "strict"]

install()
