"""One step of the NKI language as data: what a table says of every name, old and new.

The tables are TOML files in ``nkimigrate/releases/``; ``docs/releases.md`` says what each entry means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..record import cached_property, fresh, record
from ..release import Release
from ..signature import Signature


@record
class OldName:
    """What became of a name of the old language.

    Attributes:
        status: ``same``, ``renamed``, ``signature``, ``replaced`` or ``gone``.
        kind: ``A`` when one expression is rewritten without a look around it, ``B`` when its function has to
            be analysed, ``C`` when a person must decide.
        by: qualified new names that do its work now.
        token: the new name where it is handed over as an operation instead of being called.
        message: for ``C``, the key of the text that says what to do.
        signature: of a callable, without ``self``.
        members: of a class. literals: members that are numbers without a name now.
    """

    status: str
    kind: str
    by: tuple[str, ...] = ()
    token: str = ""
    message: str = ""
    signature: Signature | None = None
    members: tuple[str, ...] = ()
    literals: Mapping[str, str] = fresh(factory=dict)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> OldName:
        """Read an entry of the table."""
        return cls(
            status=table["status"],
            kind=table["class"],
            by=tuple(table.get("by", ())),
            token=table.get("token", ""),
            message=table.get("message", ""),
            signature=Signature(table["signature"]) if "signature" in table else None,
            members=tuple(table.get("members", ())),
            literals=table.get("literals", {}),
        )


@record
class NewName:
    """A name of the new language.

    Attributes:
        signature: of what can be called.
        tokens: as which operations it can be handed over: ``alu_op``, ``activation_op``.
        members: of a class.
    """

    signature: Signature | None = None
    tokens: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NewName:
        """Read an entry of the table."""
        signature = Signature(table["signature"]) if "signature" in table else None
        return cls(signature, tuple(table.get("token", ())), tuple(table.get("members", ())))


@record
class LanguageStep:
    """Everything that changed between two releases of the language.

    Attributes:
        root: import root of the new language. old_root: that of the old one.
        names: qualified old name → what became of it. new_names: qualified new names.
        modules: those of the new language below its root.
    """

    old: str
    new: str
    root: str
    old_root: str
    names: Mapping[str, OldName]
    new_names: Mapping[str, NewName]
    modules: frozenset[str] = frozenset()
    notes_url: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LanguageStep:
        """Read a parsed table; raises KeyError or TypeError when a required entry is missing or misnamed."""
        head = data["release"]
        (old_root,) = head["legacy_roots"]
        return cls(
            old=head["from"],
            new=head["to"],
            root=head["root"],
            old_root=old_root,
            names={name: OldName.from_dict(table) for name, table in data["names"].items()},
            new_names={name: NewName.from_dict(table) for name, table in data["new_names"].items()},
            modules=frozenset(head.get("modules", ())),
            notes_url=head.get("notes_url", ""),
        )

    def entry(self, qualified: str) -> OldName | None:
        """What became of a name, also when it is imported from the module that only defines constants."""
        return self.names.get(_plain(qualified))

    def successor(self, qualified: str) -> str:
        """A name of the old language, spelled under the new root, when it is there and means the same; else
        an empty string.

        Modules have a successor when the new language has names in them.
        """
        plain = _plain(qualified)
        entry = self.names.get(plain)
        inside = plain == self.old_root or plain.startswith(f"{self.old_root}.")
        if not inside or (entry is not None and entry.status not in ("same", "signature", "renamed")):
            return ""
        moved = self.root + plain[len(self.old_root) :]
        known = moved in self.new_names or moved in self._modules or self._is_member(moved)
        return moved if known else ""

    def _is_member(self, moved: str) -> bool:
        owner, _, member = moved.rpartition(".")
        return owner in self.new_names and member in self.new_names[owner].members

    @cached_property
    def _modules(self) -> frozenset[str]:
        """Modules of the new language. Tensors' attributes are listed under the root as well."""
        names = (name for name in self.new_names if not name.startswith(f"{self.root}.tensor."))
        return frozenset(name.rpartition(".")[0] for name in names) | {self.root}

    @cached_property
    def resolution(self) -> Release:
        """What name resolution needs to know: names of the old language keep the root they are spelled with,
        so that they never look like those of the new one.
        """
        nothing: Mapping[str, Any] = {}
        return Release(
            product="nki",
            old=self.old,
            new=self.new,
            root=self.old_root,
            legacy_roots=(),
            newly_jitted=frozenset(),
            modules=nothing,
            wrong_modules=nothing,
            symbols=nothing,
            throughs=nothing,
            removed=nothing,
            stars=self._stars,
            new_stars=nothing,
            calls=(),
            types=nothing,
            behaviours=(),
            private=(),
            insides=nothing,
            notes_url=self.notes_url,
        )

    @cached_property
    def _stars(self) -> Mapping[str, tuple[str, ...]]:
        """What a star import of one of the old language's modules brings."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.names:
            module, _, last = name.rpartition(".")
            if module not in self.names:
                found[module] = (*found.get(module, ()), last)
        return found


def _plain(qualified: str) -> str:
    return qualified.replace(".constants", "")
