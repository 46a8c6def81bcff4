"""JUnit XML, read by an XML parser."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from reports import HOSTILE, finding, hostile, mixed, report

from nkimigrate.report.junit import render
from nkimigrate.report.model import Report
from nkimigrate.report.view import View
from nkimigrate.terminal import clean


def parsed(made: Report, mode: str = "write") -> ElementTree.Element:
    return ElementTree.fromstring("\n".join(render(View(made, mode))).encode("utf-8", "strict"))


@pytest.mark.parametrize(("mode", "failures"), [("write", 2), ("check", 5), ("diff", 5)])
def test_what_fails_is_a_failure_and_what_could_not_be_handled_an_error(mode: str, failures: int) -> None:
    root = parsed(mixed(), mode)
    assert [suite.get("name") for suite in root] == ["broken.py", "model.py", "other.ipynb"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", str(failures), "1")
    assert len(root.findall("./testsuite/testcase/failure")) == failures
    assert len(root.findall("./testsuite/testcase/error")) == 1


@pytest.mark.parametrize("made", [report(), mixed(), hostile(), report([finding()])])
def test_totals_are_those_of_the_cases(made: Report) -> None:
    for suites in (parsed(made, "check"), *parsed(made, "check")):
        assert int(suites.get("tests", "")) == len(list(suites.iter("testcase")))
        assert int(suites.get("failures", "")) == len(list(suites.iter("failure")))
        assert int(suites.get("errors", "")) == len(list(suites.iter("error")))


def test_a_failure_names_place_message_and_next_step() -> None:
    case = parsed(mixed()).find("./testsuite[@name='other.ipynb']/testcase")
    assert case is not None
    assert case.attrib == {
        "classname": "other.ipynb",
        "name": "NKM201 cell 2:3:5",
        "file": "other.ipynb",
        "line": "3",
        "time": "0",
    }
    failure = case[0]
    assert failure.get("message") == "needs you: `qkv` now takes `eps` by keyword"
    assert failure.text == "Pass it by keyword."


def test_a_clean_run_has_one_test_that_passes() -> None:
    root = parsed(report())
    (case,) = root.iter("testcase")
    assert case.get("name") == "nothing to migrate in 10 files"
    assert len(case) == 0


@pytest.mark.parametrize("mode", ["write", "check"])
def test_nothing_breaks_out_of_the_document(mode: str) -> None:
    root = parsed(hostile(), mode)
    names = {suite.get("name") for suite in root}
    assert names == {clean(HOSTILE), clean(HOSTILE + "/x")}
    assert len(list(root.iter("testcase"))) == 4
    texts = [t for element in root.iter() for t in (*element.attrib.values(), element.text or "")]
    assert all(line.isprintable() for text in texts for line in text.split("\n"))
