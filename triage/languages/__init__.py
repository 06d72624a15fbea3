"""Programming languages that are understood: one module each, registered here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triage.languages.python import Python

if TYPE_CHECKING:
    from triage import Language

LANGUAGES: Sequence[Language] = (Python(),)


def by_name(name: str) -> Language | None:
    """The language of that name ("python"), or None."""
    return next((language for language in LANGUAGES if language.name == name), None)
