"""A set that takes little memory: it never loses a name, and seldom takes one for another."""

from __future__ import annotations

from nkimigrate.met import Met


def test_nothing_is_met_at_first() -> None:
    assert "a.b" not in Met()


def test_what_was_added_is_always_met_and_others_seldom() -> None:
    names = [f"package_{number % 97}.module_{number}" for number in range(50_000)]
    own = Met()
    for name in names:
        own.add(name)
    assert all(name in own for name in names)
    # 150,000 of 16.8 million bits: three of them at once are set for one name in a million.
    assert sum(f"other.module_{number}" in own for number in range(50_000)) <= 5
