"""Citations as patterns make them: of the event, of the line that failed, of a change. Checked like anybody's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fixloop.blocks import Block, parse
from fixloop.investigate.pack import Pack
from store.errors import BadPayload
from store.incident import CodeLocation
from store.repair import CandidateChange, Evidence

LONGEST = 2_000  # characters of a line that patterns read
_PART = 160  # characters of a long text that are quoted


def message(pack: Pack) -> str:
    """What the exception that ended the work says."""
    error = pack.first.exception
    return error.value[:LONGEST] if error else ""


def kind(pack: Pack) -> str:
    """The exception's type, without its module."""
    error = pack.first.exception
    return error.type.rpartition(".")[2] if error else ""


def told(pack: Pack, claim: str) -> Evidence:
    """The exception's own words."""
    text = " ".join(message(pack).split())
    quote = text if len(text) <= 200 else text[:_PART]
    return Evidence(kind="event_field", claim=claim, pointer="/exceptions/-1/value", quote=quote or None)


def place(pack: Pack) -> CodeLocation | None:
    """Where it failed, in the team's code."""
    return pack.own[-1].location if pack.own else None


def line(pack: Pack, claim: str) -> Evidence | None:
    """The team's innermost line."""
    code = pack.failed
    text = code.line(code.failed) if code and code.failed else None
    if code is None or text is None or not text.strip():
        return None
    return Evidence(
        kind="code_line", claim=claim, repo=code.repo, commit=code.commit, path=code.path, line=code.failed,
        quote=text.strip(),
    )  # fmt: skip


def line_text(pack: Pack) -> str:
    """The text of that line."""
    code = pack.failed
    return (code.line(code.failed) or "")[:LONGEST] if code and code.failed else ""


def blocks(change: CandidateChange) -> list[Block]:
    """What a candidate changed near the place, as far as the pack shows it."""
    try:
        return parse(change.hunks) if change.hunks else []
    except BadPayload:
        return []


def added(change: CandidateChange, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """(path, line) of lines that a change adds and that match, where none that it takes away does."""
    found = blocks(change)
    if any(pattern.search(text) for block in found for text in block.old):
        return
    for block in found:
        for text in block.new:
            if pattern.search(text):
                yield block.path, text.strip()


def touched(change: CandidateChange, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """(path, line) of hunks that change a place which was there before, and in which a changed line or the line of the
    definition around it matches: the first changed line that does, else the first with words."""
    path = ""
    for piece in re.split(r"(?m)^(?=--- |@@ )", change.hunks or ""):
        if piece.startswith("--- "):
            path = piece.split("\n")[1].removeprefix("+++ b/")
            continue
        head, _, body = piece.partition("\n")
        numbers = re.match(r"@@ -(\d+),(\d+) \+\d+,\d+ @@ ?(.*)", head)
        if numbers is None or numbers[1] == numbers[2] == "0":  # the file was made
            continue
        lines = [text[1:].strip() for text in body.splitlines() if text[1:].strip()]
        telling = [text for text in lines if pattern.search(text)]
        if lines and (telling or pattern.search(numbers[3])):
            yield path, (telling or lines)[0]


def commit(change: CandidateChange, claim: str, path: str, quote: str | None = None) -> Evidence:
    """A change, with the file and the line of it that says so."""
    return Evidence(
        kind="commit", claim=claim, repo=change.repo, commit=change.commit, path=path, quote=quote or None
    )
