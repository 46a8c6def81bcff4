"""The page in a real browser: opened, filtered, searched, walked through by keyboard, printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nkimigrate import cli

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api", reason="`make test-browser` installs playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Any, repository: Path, tmp_path: Path, capsys: Any) -> Iterator[Any]:
    """The report on the example package, open in a browser that must not complain about anything."""
    out = tmp_path / "report.html"
    cli.main(["--check", str(repository / "examples" / "llama_trn"), "--report", str(out), "--isolated"])
    capsys.readouterr()
    made = browser.new_page()
    said: list[str] = []
    made.on("console", lambda message: said.append(message.text))
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda request: said.append(request.url) if "report.html" not in request.url else None)
    made.goto(out.as_uri())
    yield made
    made.close()
    assert [text for text in said if not text.startswith("data:")] == []


def visible(page: Any) -> int:
    return int(page.locator("article:not([hidden])").count())


def test_filters_by_outcome_and_rule(page: Any) -> None:
    everything = visible(page)
    needs_you = page.locator("article[data-kinds~=needs-you]").count()
    assert 0 < needs_you < everything
    for kind in ("rewritten", "rewritten-noted", "noted"):
        page.click(f"button[data-kind={kind}]")
    assert visible(page) == needs_you
    assert f"{needs_you} of {everything}" in page.inner_text("#shown")
    for kind in ("rewritten", "rewritten-noted", "noted"):
        page.click(f"button[data-kind={kind}]")
    page.select_option("#rule", "NKM201")
    assert visible(page) == page.locator("article[data-codes*=NKM201]").count() < everything


def test_searches_words_and_says_when_nothing_matches(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("attention.py residual")
    assert 0 < visible(page) < 4
    page.fill("#search", "no such word anywhere")
    assert visible(page) == 0
    assert page.is_visible("#none")
    page.keyboard.press("Escape")
    assert not page.is_visible("#none")


def test_the_keyboard_walks_through_and_opens(page: Any) -> None:
    page.click("#close")
    assert page.locator("article").first.is_hidden()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "ARTICLE"
    assert page.locator("article").first.is_visible()
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") != first
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.textContent") == first


def test_a_rule_link_opens_its_documentation(page: Any) -> None:
    assert not page.evaluate("document.getElementById('NKM201').open")
    page.locator("a.badge[href='#NKM201']").first.click()
    page.wait_for_function("document.getElementById('NKM201').open")


def test_light_and_dark(page: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(colour)
    assert light != dark
    page.click("#theme")
    assert page.evaluate(colour) == light


def test_printing_shows_everything(page: Any, tmp_path: Path) -> None:
    page.click("#close")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.file:not([open])").count() == 0
    assert page.locator(".bar").is_hidden()
    assert len(page.pdf()) > 10_000


def test_a_narrow_page_shows_each_line_once(page: Any) -> None:
    """Old and new stand below each other there: what is equal does not stand twice, and nothing is cut off."""
    page.set_viewport_size({"width": 420, "height": 900})
    shown = "row => [...row.querySelectorAll('.l')].filter(cell => cell.offsetHeight).length"
    rows = page.locator("article:not([hidden]) .code.two tr")
    for kind, cells in (("", 1), ("changed", 2), ("removed", 1), ("added", 1)):
        found = [row for row in rows.element_handles() if row.get_attribute("class") == kind]
        assert {row.evaluate(shown) for row in found} <= {cells}
        assert found or kind not in ("", "changed")
    assert page.evaluate(
        "[...document.querySelectorAll('article div')].every(part => part.scrollWidth <= part.clientWidth)"
    )
