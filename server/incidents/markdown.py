"""One incident in words, the conclusion first, within a budget of bytes.

What has no room is left out whole or at the end of a line, and the answer says so and how to get it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from server.incidents import evidence
from server.incidents.conclusion import conclusion
from server.incidents.quoting import Quoter, size
from server.incidents.variation import variation_lines
from server.incidents.view import IncidentView
from store.errors import BadPayload
from store.repair import CandidateChange, ChangeVerdict

DEFAULT = 8_000  # bytes of an answer
MOST = 10_000  # bytes of an answer for which sections were asked
_TAIL = 900  # bytes kept back for what was left out
_LEAST = 260  # bytes below which a section is not begun
_NAMED = (ChangeVerdict.PROVEN, ChangeVerdict.SUPPORTED, ChangeVerdict.INTRODUCED_WITH_FEATURE)


@dataclass
class Page:
    """An answer in the making."""

    view: IncidentView
    quoter: Quoter
    left_out: list[str]

    def get(self, kind: str) -> str:
        """The call that gives the whole of something; made of our own words and the incident's id only."""
        if not self.view.kept:
            return "it is in the trace you have"
        if kind in {"get_causes", "get_reproducer", "get_fix"}:
            return f'{kind}("{self.view.incident.id}")'
        return f'get_evidence("{self.view.incident.id}", "{kind}")'


def incident_markdown(
    view: IncidentView, sections: Sequence[str] = (), *, quoter: Quoter | None = None
) -> str:
    """An incident as Markdown: at most 8 kB, or 10 kB where sections are asked for. Raises BadPayload for an
    unknown section, naming those there are."""
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        raise BadPayload(f"There is no section of that name; there are {', '.join(SECTIONS)}.")
    page = Page(view, quoter or Quoter(), [])
    parts = [conclusion(view, page.quoter)]
    room = (MOST if sections else DEFAULT) - size(parts[0]) - _TAIL
    wanted = list(dict.fromkeys(sections)) or list(_BY_DEFAULT)
    for place, name in enumerate(wanted):
        share = room // (len(wanted) - place) if sections else min(room, _BY_DEFAULT[name])
        if text := SECTIONS[name](page, share):
            parts.append(text)
            room -= size(text) + 2
    return "\n\n".join([*parts, *_left_out(page)]) + "\n"


def _left_out(page: Page) -> Iterable[str]:
    if page.left_out:
        yield "## Left out\n" + "\n".join(f"- {line}" for line in page.left_out)
    elif page.view.kept:
        yield f"More: {page.get('contexts')} (kinds: {', '.join(evidence.KINDS)})."


def _quoted(title: str, kind: str, lines: Iterable[str], page: Page, room: int) -> str:
    """A section of event text, to the last line that fits."""
    texts = list(lines)
    if not texts:
        return ""
    head = f"## {title}\n"
    if room < _LEAST:
        page.left_out.append(f"{title.lower()}: {page.get(kind)}")
        return ""
    block = page.quoter.block(kind, texts, room - size(head), source=evidence.WRITTEN_BY.get(kind, "event"))
    if block.shown == 0:  # its first line alone is longer than the room
        page.left_out.append(f"{title.lower()}: {page.get(kind)}")
        return ""
    if block.left:
        page.left_out.append(f"{title.lower()}, {block.left:,} more lines: {page.get(kind)}")
    return head + block.text


def _stack(page: Page, room: int) -> str:
    event = page.view.event
    if event is None:
        return "No event's body is kept." if page.view.incident.event_count else ""
    lines = evidence.stack_lines(event, local=8, deep=5)
    return _quoted("Stack trace, innermost call first", "stack", lines, page, room)


def _locals(page: Page, room: int) -> str:
    event = page.view.event
    return _quoted("Variables", "locals", evidence.local_lines(event) if event else (), page, room)


def _of_kind(title: str, kind: str) -> Callable[[Page, int], str]:
    return lambda page, room: _quoted(title, kind, evidence.KINDS[kind](page.view), page, room)


def _variation(page: Page, room: int) -> str:
    view = page.view
    kept, all_of_them = len(view.events), view.incident.event_count
    title = "What varies and what is constant" + (
        f" ({kept} kept of {all_of_them} events)" if view.kept else ""
    )
    return _quoted(title, "variation", variation_lines(view.events), page, room)


def _code(title: str, language: str, text: str, call: str, page: Page, room: int) -> str:
    """A section of code: whole, or not at all with where it is."""
    whole = f"## {title}\n{page.quoter.code(language, text)}"
    if size(whole) <= room:
        return whole
    page.left_out.append(f"{title.lower()} ({size(text):,} bytes): {page.get(call)}")
    return ""


def _change(page: Page, room: int) -> str:
    change = named_change(page.view.attempt.changes if page.view.attempt else ())
    return (
        _code("The change", "diff", change.hunks, "get_causes", page, room) if change and change.hunks else ""
    )


def _test(page: Page, room: int) -> str:
    test = page.view.attempt.reproducer if page.view.attempt else None
    return _code("The test", "python", test.source, "get_reproducer", page, room) if test else ""


def _fix(page: Page, room: int) -> str:
    patch = page.view.attempt.patch if page.view.attempt else None
    return _code("The fix", "diff", "\n".join(patch.diffs.values()), "get_fix", page, room) if patch else ""


def named_change(changes: Sequence[CandidateChange]) -> CandidateChange | None:
    """The change that the runs point at, if any: proven before supported."""
    named = [change for change in changes if change.verdict in _NAMED]
    return min(named, key=lambda change: _NAMED.index(change.verdict), default=None)


SECTIONS: dict[str, Callable[[Page, int], str]] = {
    "stack": _stack,
    "locals": _locals,
    "path": _of_kind("The way there, newest first", "path"),
    "request": _of_kind("Request", "request"),
    "breadcrumbs": _of_kind("What was logged before, newest first", "breadcrumbs"),
    "variation": _variation,
    "change": _change,
    "test": _test,
    "fix": _fix,
    "contexts": _of_kind("Tags and contexts", "contexts"),
    "events": _of_kind("Events", "events"),
    "steps": _of_kind("Steps", "steps"),
    "hypotheses": _of_kind("Hypotheses", "hypotheses"),
    "investigations": _of_kind("Investigations", "investigations"),
    "surroundings": _of_kind("Around it: near, before, alike", "surroundings"),
    "guidance": _of_kind("What the team has written", "guidance"),
}
_BY_DEFAULT = {
    "change": 900,
    "fix": 1100,
    "hypotheses": 700,
    "stack": 2600,
    "surroundings": 900,
    "path": 700,
    "request": 800,
    "breadcrumbs": 900,
    "variation": 1000,
}
