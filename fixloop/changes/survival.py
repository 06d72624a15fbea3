"""Who wrote the words of a line, where blame only says who touched the line last: a renamed argument leaves the rest of
the line to whoever wrote it before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from fixloop import Hunk

ALIKE = 0.6  # how much of two lines must agree for one to be the other's earlier form
LONG = 400  # lines of a region beyond which its words are not followed
_WORDS = re.compile(r"[A-Za-z_]\w*|\d+|[^\s\w]")
_COMMENT = re.compile(r"\s*(?:#|//|\*|/\*|\"\"\"|'{3})")


class Edits:
    """What the changes of one region did to its lines: change -> hunks, and the changes from the newest to the
    oldest."""

    def __init__(self, hunks: Mapping[str, Sequence[Hunk]], newest_first: Sequence[str]) -> None:
        self._order, self._place = newest_first, {sha: at for at, sha in enumerate(newest_first)}
        self._wrote: dict[tuple[str, str], list[str]] = {}
        for sha in newest_first:
            for hunk in hunks.get(sha, ()):
                for line in hunk.added:
                    self._wrote.setdefault((sha, _plain(line)), []).extend(hunk.removed)
        self._by_line: dict[str, list[str]] = {}
        for sha, line in self._wrote:
            self._by_line.setdefault(line, []).append(sha)

    def earlier(self, sha: str, line: str) -> tuple[str, list[tuple[int, int, int]]] | None:
        """The line as it was before a change, with the blocks of words (before, after, how many) that it kept; None
        where the change made the line."""
        after, best = _WORDS.findall(line), None
        for before in dict.fromkeys(self._wrote.get((sha, _plain(line)), ())):
            matched = SequenceMatcher(None, _WORDS.findall(before), after, False)
            if matched.real_quick_ratio() < ALIKE or matched.ratio() < ALIKE:
                continue
            if best is None or matched.ratio() > best[0]:
                best = matched.ratio(), before, [(m.a, m.b, m.size) for m in matched.get_matching_blocks()]
        return None if best is None else best[1:]

    def writer(self, line: str, before: str) -> str | None:
        """The newest change before another one that wrote the line so."""
        limit = self._place.get(before)
        older = [
            self._place[sha]
            for sha in self._by_line.get(_plain(line), ())
            if limit is not None and self._place[sha] > limit
        ]
        return self._order[min(older)] if older else None


def surviving(lines: Mapping[int, str], owners: Mapping[int, str], edits: Edits) -> tuple[Counter[str], int]:
    """How many words of the lines each change wrote, and how many words there are. What is older than the changes at
    hand is nobody's."""
    wrote: Counter[str] = Counter()
    total = 0
    for number, line in lines.items():
        words = [] if _COMMENT.match(line) else _WORDS.findall(line)
        total += len(words)
        sha, text, left = owners.get(number), line, set(range(len(words)))
        while sha is not None and left:
            before = edits.earlier(sha, text)
            if before is None:
                wrote[sha] += len(left)
                break
            text, blocks = before
            back = {after + at: earlier + at for earlier, after, size in blocks for at in range(size)}
            wrote[sha] += sum(at not in back for at in left)
            left = {back[at] for at in left if at in back}
            sha = edits.writer(text, sha)
    return wrote, max(total, 1)


def _plain(line: str) -> str:
    """A line without its blanks: whoever indents it anew has not written it."""
    return "".join(line.split())
