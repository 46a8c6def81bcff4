"""One step between two releases as data: what a release table says, ready to be looked up by qualified name.

The tables are TOML files in ``nkimigrate/releases/``; ``docs/releases.md`` says what each of them means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .record import cached_property, fresh, record
from .signature import Signature, first_break

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Made = TypeVar("Made")


@record
class Flag:
    """A boolean parameter that is ``parameter`` now, with a qualified enum member for either value."""

    parameter: str
    true: str
    false: str


@record
class OldForm:
    """How a callable was declared in one dialect of the old release.

    Attributes:
        name: its qualified name there.
        renamed: parameters that have another name now, old → new.
        added: parameters required now, with their value in terms of old ones (``{old_name}``).
        dropped: parameters that are gone, with the only literal value that may be dropped in silence.
        flags: boolean parameters that became one of an enumeration.
        rewrite: ``keywords`` (mechanical), ``template`` (a rule of its own) or ``human``.
        template: which rule's, for ``template``.
    """

    dialect: str
    name: str
    signature: Signature
    renamed: Mapping[str, str]
    added: Mapping[str, str]
    dropped: Mapping[str, str]
    flags: Mapping[str, Flag]
    rewrite: str
    template: str
    step: str

    @classmethod
    def from_dict(cls, new_name: str, table: Mapping[str, Any]) -> OldForm:
        """Read an entry of a parsed table."""
        return cls(
            dialect=table["dialect"],
            name=table.get("name", new_name),
            signature=Signature(table["signature"]),
            renamed=table.get("renamed", {}),
            added=table.get("added", {}),
            dropped=table.get("dropped", {}),
            flags={k: Flag(**v) for k, v in table.get("flags", {}).items()},
            rewrite=table.get("rewrite", "keywords"),
            template=table.get("template", ""),
            step=table.get("step", ""),
        )

    def first_break(self, new: Signature) -> int | None:
        """The first position that means another parameter in ``new``, found once for all calls."""
        if new.text not in self._breaks:
            self._breaks[new.text] = first_break(self.signature, new, self.renamed)
        return self._breaks[new.text]

    @cached_property
    def _breaks(self) -> dict[str, int | None]:
        """By the text of the new signature."""
        return {}

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """What the parameters that can be passed by position are called now, in their old order."""
        return tuple(self.renamed.get(name, name) for name in self.signature.positional)


@record
class CallChange:
    """A callable whose name or signature changed; ``old`` holds one form for each dialect, the release's
    own first; ``enums`` the enumerations that parameters now insist on.
    """

    name: str
    signature: Signature
    old: tuple[OldForm, ...]
    enums: Mapping[str, str] = fresh(factory=dict)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> CallChange:
        """Read an entry of a parsed table."""
        name = table["name"]
        forms = tuple(OldForm.from_dict(name, old) for old in table["old"])
        return cls(name, Signature(table["signature"]), forms, table.get("enums", {}))


@record
class TypeChange:
    """A class whose instances changed.

    Attributes:
        attributes: renamed attributes, old → new.
        tuples: attributes, and methods by what they return, that were lists and are tuples.
        chain: methods that return an object of the class.
        static: methods that are called without an object.
        integers: methods with a parameter that must be a Python int, and that parameter's name and position.
        needs: attributes that the object given to the constructor must have now.
    """

    name: str
    attributes: Mapping[str, str] = fresh(factory=dict)
    tuples: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    integers: Mapping[str, tuple[str, int]] = fresh(factory=dict)
    needs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, name: str, table: Mapping[str, Any]) -> TypeChange:
        """Read an entry of a parsed table."""
        return cls(
            name,
            table.get("attributes", {}),
            tuple(table.get("tuples", ())),
            tuple(table.get("chain", ())),
            tuple(table.get("static", ())),
            {k: (str(v["parameter"]), int(v["position"])) for k, v in table.get("integers", {}).items()},
            tuple(table.get("needs", ())),
        )


@record
class Behaviour:
    """Something that changed without a textual change; see the schema for ``kind`` and ``when``.

    ``signature`` is that of a callable that is not among the changed calls, to find positional arguments.
    """

    id: str
    symbols: tuple[str, ...]
    kind: str
    when: str
    message: str
    step: str
    outcome: str
    parameter: str = ""
    value: str = ""
    signature: Signature | None = None

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Behaviour:
        """Read an entry of a parsed table."""
        signature = Signature(table["signature"]) if "signature" in table else None
        return cls(**{**table, "symbols": tuple(table["symbols"]), "signature": signature})


@record
class PrivateKernel:
    """A legacy private kernel and where it lives now (``new`` is empty when it has no home).

    ``helper`` stands for what only matters where a private kernel is used as well.
    """

    old: tuple[str, ...]
    new: str
    exact: bool
    parameters: Mapping[str, str]
    step: str
    snippet: str
    helper: bool = False

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> PrivateKernel:
        """Read an entry of a parsed table."""
        return cls(
            old=tuple(table["old"]),
            new=table.get("new", ""),
            exact=table.get("exact", False),
            parameters=table.get("parameters", {}),
            step=table.get("step", ""),
            snippet=table.get("snippet", ""),
            helper=table.get("helper", False),
        )


@record
class Release:
    """Everything that changed between two releases of one product.

    Attributes:
        known: the modules of either release (empty when the table does not list them).
        root_dialects: legacy root → dialects that are spelled with it, the release's own root first.
        enums: enumerations and the values of their members.
        folders: folders of the product's source tree that have another name now, old → new.
        repository: the name of the product's repository, as it stands in URLs.
        private_packages: packages of which everything is a legacy private kernel, listed or not.
    """

    product: str
    old: str
    new: str
    root: str
    legacy_roots: tuple[str, ...]
    newly_jitted: frozenset[str]
    modules: Mapping[str, str]
    wrong_modules: Mapping[str, str]
    symbols: Mapping[str, str]
    throughs: Mapping[str, str]
    removed: Mapping[str, str]
    stars: Mapping[str, tuple[str, ...]]
    new_stars: Mapping[str, tuple[str, ...]]
    calls: tuple[CallChange, ...]
    types: Mapping[str, TypeChange]
    behaviours: tuple[Behaviour, ...]
    private: tuple[PrivateKernel, ...]
    notes_url: str = ""
    known: frozenset[str] = frozenset()
    folders: Mapping[str, str] = fresh(factory=dict)
    enums: Mapping[str, Mapping[str, object]] = fresh(factory=dict)
    insides: Mapping[str, Mapping[str, Any]] = fresh(factory=dict)
    root_dialects: Mapping[str, tuple[str, ...]] = fresh(factory=dict)
    repository: str = ""
    private_packages: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Release:
        """Read a parsed table; raises KeyError or TypeError when a required entry is missing or misnamed."""
        head = data["release"]
        return cls(
            product=head["product"],
            old=head["from"],
            new=head["to"],
            root=head["root"],
            legacy_roots=tuple(head["legacy_roots"]),
            newly_jitted=frozenset(head.get("newly_jitted", ())),
            modules=data.get("modules", {}),
            wrong_modules=data.get("wrong_modules", {}),
            symbols=data.get("symbols", {}),
            throughs=data.get("throughs", {}),
            removed=data.get("removed", {}),
            insides=data.get("insides", {}),
            stars={k: tuple(v) for k, v in data.get("stars", {}).items()},
            new_stars={k: tuple(v) for k, v in data.get("new_stars", {}).items()},
            calls=tuple(CallChange.from_dict(t) for t in data.get("calls", ())),
            types={k: TypeChange.from_dict(k, v) for k, v in data.get("types", {}).items()},
            behaviours=tuple(Behaviour.from_dict(t) for t in data.get("behaviours", ())),
            enums=data.get("enums", {}),
            private=tuple(PrivateKernel.from_dict(t) for t in data.get("private", ())),
            notes_url=head.get("notes_url", ""),
            known=frozenset(head.get("known", ())),
            folders=head.get("folders", {}),
            root_dialects={k: tuple(v) for k, v in head.get("root_dialects", {}).items()},
            repository=head.get("repository", ""),
            private_packages=tuple(head.get("private_packages", ())),
        )

    def once(self, make: Callable[[Release], Made]) -> Made:
        """What a function makes of the release, which is made when it is first asked for and kept."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]  # type: ignore[no-any-return]

    @cached_property
    def _made(self) -> dict[Callable[[Release], Any], Any]:
        return {}

    def canonical(self, qualified: str) -> str:
        """The qualified name under the release's own import root, whichever root the user's code spells."""
        root = self.legacy_root(qualified)
        return self.root + qualified[len(root) :] if root else qualified

    def legacy_root(self, qualified: str) -> str:
        """The legacy root that a qualified name starts with, or an empty string."""
        if qualified.partition(".")[0] in self.legacy_tops:
            for root in self.legacy_roots:
                if qualified == root or qualified.startswith(root + "."):
                    return root
        return ""

    def dialect_possible(self, dialect: str, roots: frozenset[str]) -> bool:
        """Whether code that imports from the given legacy roots may be written in a dialect.

        Code that spells none of these roots may be written in those of the release's own.
        """
        tied = [root for root, dialects in self.root_dialects.items() if dialect in dialects]
        own = next(iter(self.root_dialects), "")
        return not tied or not (roots or {own}).isdisjoint(tied)

    def real(self, qualified: str) -> str:
        """The path that is meant by one that only documents printed; any other path itself."""
        if not qualified.startswith(self._wrong):
            return qualified
        for wrong, right in self.wrong_modules.items():
            if qualified.startswith(wrong) and qualified[len(wrong) :][:1] in ("", "."):
                return right + qualified[len(wrong) :]
        return qualified

    @cached_property
    def _wrong(self) -> tuple[str, ...]:
        return tuple(self.wrong_modules)

    def defining(self, qualified: str) -> str:
        """Where a symbol that is imported *through* another module, or by a wrong path, is defined."""
        real = self.real(qualified)
        real = self.packaged_in(real) or real
        return self.throughs.get(real, real)

    def packaged_in(self, qualified: str) -> str:
        """Where a changed symbol is defined whose path leaves out its module; "" for all others."""
        defined = self._packaged.get(qualified, "")
        owner = qualified.rpartition(".")[0] if defined else ""
        return defined if owner.startswith(f"{self.root}.") and owner not in self.known else ""

    @cached_property
    def _packaged(self) -> Mapping[str, str]:
        """Symbols by the package of their module, of those whose name is in one of its modules only."""
        table: dict[str, str] = {}
        for name in {*self.new_symbol, *self.forms, *self.changes, *self.types, *self.enums}:
            module, _, last = name.rpartition(".")
            path = f"{module.rpartition('.')[0]}.{last}"
            if module in self.known and path not in self.known:
                table[path] = "" if path in table and table[path] != name else name
        return table

    @cached_property
    def forms(self) -> Mapping[str, tuple[tuple[CallChange, OldForm], ...]]:
        """Old qualified name → the changes that a call of that name may need, the release's own dialect
        first.
        """
        table: dict[str, tuple[tuple[CallChange, OldForm], ...]] = {}
        for name, pair in self._named_forms():
            table[name] = (*table.get(name, ()), pair)
        return table

    def _named_forms(self) -> Iterator[tuple[str, tuple[CallChange, OldForm]]]:
        for change in self.calls:
            for form in change.old:
                yield form.name, (change, form)

    @cached_property
    def new_symbol(self) -> Mapping[str, str]:
        """Old qualified name → new qualified name, for symbols and for every symbol of a moved module."""
        return {**self.symbols, **{f.name: c.name for c in self.calls for f in c.old if f.name != c.name}}

    def behaviours_of(self, *kinds: str) -> Mapping[str, tuple[Behaviour, ...]]:
        """Qualified name → what changed about it, of the given kinds; names in this release's spelling."""
        if kinds not in self._behaviours:
            table = self._behaviours[kinds] = dict[str, tuple[Behaviour, ...]]()
            for behaviour in self.behaviours:
                names = {self.defining(name) for name in behaviour.symbols} if behaviour.kind in kinds else ()
                for name in names:
                    table[name] = (*table.get(name, ()), behaviour)
        return self._behaviours[kinds]

    @cached_property
    def _behaviours(self) -> dict[tuple[str, ...], dict[str, tuple[Behaviour, ...]]]:
        """What :meth:`behaviours_of` found, by the kinds it was asked for."""
        return {}

    @cached_property
    def changes(self) -> Mapping[str, tuple[CallChange, ...]]:
        """New qualified name → the changes that led to it."""
        table: dict[str, tuple[CallChange, ...]] = {}
        for change in self.calls:
            table[change.name] = (*table.get(change.name, ()), change)
        return table

    @cached_property
    def lost_methods(self) -> Mapping[str, tuple[str, bytes]]:
        """The removed names that are methods, their owner being called like a class: the next step, and the
        method's own name.
        """
        owned = {name: name.split(".")[-2:] for name in self.removed}
        methods = ((name, last) for name, (owner, last) in owned.items() if owner[:1].isupper())
        return {name: (self.removed[name], last.encode()) for name, last in methods}

    @cached_property
    def private_by_name(self) -> Mapping[str, PrivateKernel]:
        return {name: kernel for kernel in self.private for name in kernel.old}

    @cached_property
    def spelled(self) -> tuple[str, ...]:
        """What code that concerns this release has to spell, longest first."""
        private = {name.rpartition(".")[0] for kernel in self.private for name in kernel.old}
        return tuple(sorted({self.root, *self.legacy_tops, *private}, key=len, reverse=True))

    @cached_property
    def legacy_tops(self) -> frozenset[str]:
        """The top-level packages of the legacy roots."""
        return frozenset(root.partition(".")[0] for root in self.legacy_roots)

    @cached_property
    def gone_tops(self) -> frozenset[str]:
        """Those of them that the new release does not have; others should only not be mixed with its root."""
        kept = frozenset(self.folders.values())
        return self.legacy_tops - kept

    @cached_property
    def roots(self) -> frozenset[str]:
        """First parts of all import paths that can lead to something affected."""
        tops = {self.root, *self.legacy_roots, *self.private_packages, *self.private_by_name}
        return frozenset(name.partition(".")[0] for name in tops)

    def concerns(self, name: str) -> bool:
        """Whether a qualified name is the product's, a legacy kernel's, or a package that leads to one."""
        return name.partition(".")[0] in self.roots and (name in self._leading or self.affects(name))

    def affects(self, name: str) -> bool:
        """Whether a qualified name is one of those packages or something in them."""
        if name.partition(".")[0] not in self.roots:
            return False
        while name and name not in self._homes:
            name = name.rpartition(".")[0]
        return bool(name)

    @cached_property
    def _homes(self) -> frozenset[str]:
        """The packages whose content is affected."""
        private = {name.rpartition(".")[0] for name in self.private_by_name}
        return frozenset({self.root, *self.legacy_roots, *private})

    @cached_property
    def _leading(self) -> frozenset[str]:
        """The homes and all packages around them."""
        parts = (home.split(".") for home in self._homes)
        return frozenset(".".join(p[:i]) for p in parts for i in range(1, len(p) + 1))

    def moved(self, qualified: str) -> str:
        """The new qualified name of a module or symbol; itself when it did not move."""
        if qualified in self.new_symbol:
            return self.new_symbol[qualified]
        if qualified.startswith(self._moving):
            for old, new in (*self.modules.items(), *self.wrong_modules.items()):
                if qualified == old or qualified.startswith(old + "."):
                    moved = new + qualified[len(old) :]
                    return self.new_symbol.get(moved, moved)
        return qualified

    @cached_property
    def _moving(self) -> tuple[str, ...]:
        return (*self.modules, *self.wrong_modules)
