"""Programming languages that are understood: one module each, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triage.languages.python import Python

if TYPE_CHECKING:
    from triage import Language

BUILT_IN: Sequence[Language] = (Python(),)
_plugged: tuple[Language, ...] = ()


def plug(languages: Sequence[Language]) -> None:
    """These are the languages of others from now on, in this process."""
    global _plugged
    _plugged = tuple(languages)


def known() -> tuple[Language, ...]:
    """All languages; one that is built in comes before a stranger's of the same name."""
    return (*BUILT_IN, *_plugged)


def by_name(name: str) -> Language | None:
    """The language of that name ("python"), or None."""
    return next((language for language in known() if language.name == name), None)
