# Written by write_rules.py from the server's triage/words.py: change it there.
# ruff: noqa
"""Word lists that read as text."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The blank-separated words of a text."""
    return tuple(text.split())
