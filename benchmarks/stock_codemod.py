"""The peer for rewriting: keyword arguments the usual libcst way, a codemod class with QualifiedNameProvider.

Run as ``python stock_codemod.py FILE…``; rewrites nothing on disk, so that it can be run again.
"""

from __future__ import annotations

import sys

import libcst as cst
from libcst.codemod import CodemodContext, VisitorBasedCodemodCommand
from libcst.metadata import QualifiedNameProvider

from nkimigrate.releases import load


class Keywords(VisitorBasedCodemodCommand):
    """Names the positional arguments of changed callables from the first changed position on."""

    METADATA_DEPENDENCIES = (QualifiedNameProvider,)

    def __init__(self, context: CodemodContext) -> None:
        super().__init__(context)
        self.forms = load("2.27", "2.28").forms

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        names = {q.name for q in self.get_metadata(QualifiedNameProvider, original_node, set())}
        for name in names & self.forms.keys():
            _, form = self.forms[name][0]
            arguments = list(updated_node.args)
            for index, parameter in enumerate(form.signature.positional[: len(arguments)]):
                if arguments[index].keyword is None and not arguments[index].star:
                    arguments[index] = arguments[index].with_changes(keyword=cst.Name(parameter))
            updated_node = updated_node.with_changes(args=arguments)
        return updated_node


def main(paths: list[str]) -> None:
    for path in paths:
        with open(path, "rb") as file:
            module = cst.parse_module(file.read())
        _ = Keywords(CodemodContext(filename=path)).transform_module(module).code


if __name__ == "__main__":
    main(sys.argv[1:])
