"""Source: bytes to text and back, and the coordinates in between."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.source import Source

ROUND_TRIPS = {
    "empty": b"",
    "plain": b"x = 1\n",
    "no final newline": b"x = 1",
    "crlf": b"x = 1\r\ny = 2\r\n",
    "lone cr": b"x = 1\ry = 2\r",
    "mixed": b"x = 1\r\ny = 2\nz = 3\r",
    "form feed and separators": b"x = 1\n\x0cy = '\x1c'\n",
    "bom": b"\xef\xbb\xbfx = 1\n",
    "bom and cookie": b"\xef\xbb\xbf# coding: utf-8\nx = 1\n",
    "latin-1 cookie": b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
    "cookie on the second line": b"#!/usr/bin/env python\n# coding=cp1252\nx = '\x80'\n",
    "cookie behind a lone cr": b"#!/usr/bin/env python\r# coding=latin-1\rx = '\xe9'\r",
    "cookie-like text in code": b"x = 'coding: latin-1'\ny = '\xc3\xa9'\n",
    "wide": "x = '日本' + naïve # 🎉\n".encode(),
}


@pytest.mark.parametrize("data", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_decoding_and_encoding_gives_the_same_bytes(data: bytes) -> None:
    source = Source.decode(data)
    assert source.encode(source.text) == data
    assert source.utf8 == source.text.encode("utf-8")


@pytest.mark.parametrize(
    ("data", "encoding", "last"),
    [
        (b"# coding: latin-1\n'\xe9'", "iso-8859-1", "'é'"),
        (b"\n# vim: set fileencoding=cp1252 :\n'\x80'", "cp1252", "'€'"),
        (b"x\n# coding: latin-1\n'\xc3\xa9'", "utf-8", "'é'"),
        (b"# coding: utf-8-sig\n'\xc3\xa9'", "utf-8", "'é'"),
        (b"#\n#\n# coding: latin-1\n'\xc3\xa9'", "utf-8", "'é'"),
    ],
)
def test_the_cookie_rules_as_in_pep_263(data: bytes, encoding: str, last: str) -> None:
    source = Source.decode(data)
    assert source.encoding == encoding
    assert source.text.splitlines()[-1] == last


def test_the_byte_order_mark_is_no_part_of_the_text() -> None:
    source = Source.decode(b"\xef\xbb\xbfx = 1\n")
    assert source.bom
    assert source.text == "x = 1\n"


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: no-such-codec\n",
        b"# coding: rot13\n",
        b"\xef\xbb\xbf# coding: latin-1\n",
        b"# coding: utf-7\nx = '+AGE-'\n",
        b"# coding: unicode_escape\nx = '\\ud800'\n",
    ],
)
def test_unusable_cookies_are_syntax_errors(data: bytes) -> None:
    with pytest.raises(SyntaxError):
        Source.decode(data)


@pytest.mark.parametrize("data", [b"x = '\xe9'\n", b"# coding: ascii\nx = '\xe9'\n"])
def test_bytes_outside_the_encoding(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        Source.decode(data)


def test_encoding_a_character_that_the_file_cannot_hold() -> None:
    source = Source.decode(b"# coding: latin-1\nx = '\xe9'\n")
    with pytest.raises(UnicodeEncodeError):
        source.encode(source.text + "# €\n")


def test_only_the_interpreter_s_newlines_count() -> None:
    source = Source.decode("a\rb\r\nc\nd\x0ce\x0bf\x1cg\x85h\u2028i".encode())
    assert source.line_starts == (0, 2, 5, 7)


def test_offsets_are_bytes_and_columns_are_characters() -> None:
    source = Source.decode("é = 1\n日本 = (é, x)\n".encode())
    x = source.offset(2, len("日本 = (é, ".encode()))
    assert source.utf8[x : x + 1] == b"x"
    assert source.position(x) == (2, 10)
    assert source.position(0) == (1, 1)
    assert source.position(len(source.utf8)) == (3, 1)


def test_the_span_of_a_node_cuts_it_out() -> None:
    source = Source.decode("π = 3\r\nif π:\r\n\tnäme(日本,\r\n  'ü')  # x\r\n".encode())
    call = next(node for node in ast.walk(ast.parse(source.text)) if isinstance(node, ast.Call))
    start, end = source.span(call)
    assert source.utf8[start:end].decode() == "näme(日本,\r\n  'ü')"


@given(st.lists(st.sampled_from(["x", "é", "日", "\r", "\n", "\r\n", "\x0c", "\u2028", "\t"])).map("".join))
def test_position_and_offset_are_inverse(text: str) -> None:
    source = Source.decode(text.encode())
    for index in range(len(text)):
        offset = len(text[:index].encode())
        line, column = source.position(offset)
        start = source.line_starts[line - 1]
        assert source.utf8[start:].decode()[: column - 1].encode() == source.utf8[start:offset]
        assert source.offset(line, offset - start) == offset
