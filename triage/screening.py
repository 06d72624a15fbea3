"""Which detectors have to read a text: the same answer as `detectors.wanted`, for one text at a time.

Most texts of an event came before, and are remembered; for the few that did not, a text by itself is looked through
faster than many joined together. Kept in step with `wanted` by a test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triage.detectors import Detector

_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
_MARKS = "_-.:@% "  # a word that has one of them is looked for only where that is


class Screen:
    """Looks for the triggers of all detectors in one pass each. Safe to share between threads."""

    def __init__(self, every: Sequence[Detector]) -> None:
        self._every = every
        words: dict[str, int] = {}  # trigger -> the detectors that it calls, as bits
        patterns: dict[re.Pattern[str], int] = {}
        for place, detector in enumerate(every):
            if detector.trigger is not None:
                patterns[detector.trigger] = patterns.get(detector.trigger, 0) | 1 << place
            else:
                for word in detector.triggers:
                    words[word] = words.get(word, 0) | 1 << place
        marked: dict[str, list[tuple[str, int]]] = {}
        for word, bits in words.items():
            marked.setdefault(next((mark for mark in _MARKS if mark in word), ""), []).append((word, bits))
        self._words = tuple((mark, tuple(some)) for mark, some in marked.items())
        self._patterns = tuple((pattern.search, bits) for pattern, bits in patterns.items())

    def of(self, text: str) -> list[Detector]:
        """The detectors with a trigger in the text, in their order."""
        lowered = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)
        called = 0
        for mark, words in self._words:
            if mark in lowered:
                for word, bits in words:
                    if word in lowered:
                        called |= bits
        for search, bits in self._patterns:
            if search(text):
                called |= bits
        if not called:
            return []
        return [detector for place, detector in enumerate(self._every) if called >> place & 1]
