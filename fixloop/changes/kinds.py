"""What kind of change a commit is, by its paths and its first line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from fixloop.situation import is_test

MASS = 40  # files: a change that touches more is probably a move or a reformatting
_PROSE = (".md", ".rst", ".adoc", ".po", ".pot", ".mo", ".svg", ".png", ".gif", ".css", ".asciidoc")
_PROSE_FOLDERS = ("docs", "doc", "changelogs", "changelog.d", ".github", "releasenotes")
_LOCKS = re.compile(
    r"(?:^|/)(?:[\w.-]*requirements[\w.-]*\.(?:txt|in)|uv\.lock|poetry\.lock|Pipfile\.lock|pdm\.lock|constraints\.txt|"
    r"package-lock\.json|yarn\.lock|pnpm-lock\.yaml|go\.sum|go\.mod|Cargo\.lock|Gemfile\.lock|composer\.lock)$"
)
_TIDY = re.compile(
    r"\b(?:re-?format|black(?:en|ened)?|isort|ruff|pep ?8|flake8|pylint|lint|whitespace|typos?|spelling|"
    r"pyupgrade|copyright|licen[cs]e|docstrings?|comments?|type (?:hints?|annotations?)|mypy|prettier|style)\b",
    re.IGNORECASE,
)
_FIX = re.compile(r"\b(?:fix(?:e[sd])?|bug|regression|crash|correct(?:ed)?)\b", re.IGNORECASE)
_REWORK = re.compile(
    r"\b(?:refactor\w*|rework\w*|rewr\w+|simplif\w+|clean\w*|mov(?:e|ed|ing)|extract\w*|use[sd]?|replac\w*|convert\w*|"
    r"switch\w*|chang\w*|remov\w*|drop\w*|optimi[sz]\w*|improv\w*|speed\w*|cach\w*|consolidat\w*|unify)\b",
    re.IGNORECASE,
)
_FEATURE = re.compile(
    r"\b(?:add(?:ed|s)?|new|support\w*|implement\w*|introduc\w*|allow\w*|feat)\b", re.IGNORECASE
)


def is_prose(path: str) -> bool:
    """Documentation, translations, pictures: nothing that runs."""
    parts = path.split("/")
    text = path.endswith(".txt") and not is_lock(path)
    return text or path.lower().endswith(_PROSE) or any(part in _PROSE_FOLDERS for part in parts[:-1])


def is_lock(path: str) -> bool:
    """A file that pins dependencies."""
    return _LOCKS.search(path) is not None


@lru_cache(maxsize=1 << 16)
def runs(path: str) -> bool:
    """Whether a file can have a part in production: neither test nor prose."""
    return not is_test(path) and not is_prose(path)


def is_tidying(subject: str, files: Sequence[str]) -> bool:
    """A reformatting, by what it says of itself and by how many files it touches."""
    return len(files) >= MASS // 2 and _TIDY.search(subject) is not None


def words_of(subject: str) -> dict[str, float]:
    """Which kinds a first line speaks of; a change can be several."""
    return {
        "says_fix": float(_FIX.search(subject) is not None),
        "says_rework": float(_REWORK.search(subject) is not None),
        "says_feature": float(_FEATURE.search(subject) is not None),
        "says_tidy": float(_TIDY.search(subject) is not None),
    }
