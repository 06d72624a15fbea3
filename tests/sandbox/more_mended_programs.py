"""Further programs that crash, each with what its authors made of it (see `mended_programs`)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sandbox.mended_programs import Mended, mended

MORE: Mapping[str, Mended] = {
    "rows-of-names": mended(
        "news/digest.py",
        """\
from operator import attrgetter
from typing import NamedTuple


class Story(NamedTuple):
    title: str
    section: str
    rank: int | None = None


class Digest:
    def __init__(self, stories):
        self._by = {}
        for story in stories:
            self._by.setdefault(story.section, []).append(story)

    def top(self, section, count=2):
        return sorted(self._by[section], key=attrgetter("rank"))[:count]


def headlines(stories, sections):
    digest = Digest(stories)
    return [story.title for section in sections for story in digest.top(section)]
""",
        """\
from news.digest import Story, headlines

headlines([Story("A", "sport", 2), Story("B", "art", 1), Story("C", "art")], ["sport", "art"])
""",
        'key=attrgetter("rank")',
        "key=lambda story: story.rank or 0",
    ),
}
