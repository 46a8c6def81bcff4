"""Findings and problems in the protocol's terms: diagnostics, their places, and help on hover."""

from __future__ import annotations

from lsprotocol import types as lsp
from pygls.workspace import ServerTextPosition, ServerTextRange, TextDocument

from .. import ruledocs
from ..codemods.model import Finding
from ..report.model import Problem
from ..report.view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, kind

SOURCE = "nkimigrate"
_SEVERITIES = {
    REWRITTEN: lsp.DiagnosticSeverity.Warning,
    REWRITTEN_NOTED: lsp.DiagnosticSeverity.Warning,
    NOTED: lsp.DiagnosticSeverity.Information,
    NEEDS_YOU: lsp.DiagnosticSeverity.Error,
}


def diagnostic(document: TextDocument, finding: Finding) -> lsp.Diagnostic:
    """A finding, with its next step, at its place."""
    said = "Next" if kind(finding) == NEEDS_YOU else "Note"
    step = f"\n{said}: {finding.step}" if finding.step.strip() else ""
    return lsp.Diagnostic(
        place_of(document, finding),
        f"{finding.message}{step}",
        severity=_SEVERITIES[kind(finding)],
        code=finding.code,
        source=SOURCE,
    )


def of_problem(problem: Problem) -> lsp.Diagnostic:
    """Why a file could not be taken, at the character where that was seen."""
    start = lsp.Position(problem.line - 1, problem.column - 1)
    end = lsp.Position(problem.line - 1, problem.column)
    return lsp.Diagnostic(
        lsp.Range(start, end),
        problem.message,
        severity=lsp.DiagnosticSeverity.Error,
        code=problem.code,
        source=SOURCE,
    )


def place_of(document: TextDocument, finding: Finding) -> lsp.Range:
    """The finding's place in the client's units."""
    start = ServerTextPosition(finding.line - 1, finding.column - 1)
    end = ServerTextPosition(finding.end_line - 1, finding.end_column - 1)
    return document.range_to_client_units(ServerTextRange(start, end))


def help_on(finding: Finding) -> str:
    """The documentation of a finding's rule, as Markdown."""
    item = ruledocs.find(finding.code)
    return f"**{item.code} {item.name}**\n\n{ruledocs.as_markdown(item)}"
