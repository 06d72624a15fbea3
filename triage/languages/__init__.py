"""Programming languages that are understood: one module each, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triage.languages.csharp import CSharp
from triage.languages.dart import Dart
from triage.languages.elixir import Elixir
from triage.languages.go import Go
from triage.languages.java import Java
from triage.languages.javascript import JavaScript
from triage.languages.native import Native
from triage.languages.perl import Perl
from triage.languages.php import Php
from triage.languages.python import Python
from triage.languages.ruby import Ruby
from triage.languages.rust import Rust
from triage.languages.swift import Swift

if TYPE_CHECKING:
    from triage import Language

BUILT_IN: Sequence[Language] = (
    Python(), JavaScript(), Java(), Go(), Ruby(), Php(), CSharp(), Rust(), Elixir(), Perl(), Native(), Swift(), Dart(),
)  # fmt: skip
_plugged: tuple[Language, ...] = ()


def plug(languages: Sequence[Language]) -> None:
    """These are the languages of others from now on, in this process."""
    global _plugged
    _plugged = tuple(languages)


def known() -> tuple[Language, ...]:
    """All languages; one that is built in comes before a stranger's of the same name."""
    return (*BUILT_IN, *_plugged)


# What senders call a platform, where that is not our name of its language.
_PLATFORMS = {
    "node": "javascript", "typescript": "javascript", "browser": "javascript", "javascript-node": "javascript",
    "react-native": "javascript", "kotlin": "java", "scala": "java", "android": "java", "jvm": "java",
    "dotnet": "csharp", "c#": "csharp", "fsharp": "csharp", "golang": "go", "rails": "ruby", "erlang": "elixir",
    "c": "native", "c++": "native", "cpp": "native", "flutter": "dart", "cocoa": "swift",
}  # fmt: skip


def by_name(name: str) -> Language | None:
    """The language of that name ("python"), or of the platform that senders call so ("node"); else None."""
    wanted = _PLATFORMS.get(name, name)
    return next((language for language in known() if language.name == wanted), None)
