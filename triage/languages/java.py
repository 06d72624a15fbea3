"""Java, Kotlin, Scala, Groovy: what the JVM prints of a Throwable, with its causes and suppressed exceptions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import HEADER_REACH, caused, exception, frame, header_above, lines_of

_FRAME = re.compile(
    r"^\s*at (?:[\w.@+-]*/{1,2}(?!0x)){0,3}(?P<module>[^\s()]+)\.(?P<function>[^\s()./]+)\("
    r"(?P<source>[\w$ -]+\.\w+(?::-?\d+)?|SourceFile(?::\d+)?|Native Method|Unknown Source|<\w+>|Unknown|\w+:\d+"
    r"|\w+\$\w+\.\w+)\)(?:\s+~?\[[^\]]*\])?\s*$"
)
_MORE = re.compile(r"^\s*\.\.\. (?:\d+ (?:more|common frames omitted)|\[?.{0,40}frames?.{0,40})")
_TYPE = r"(?P<type>(?:[\w$]+\.)*[A-Za-z_$][\w$]*)"
_HEADER = re.compile(rf"^(?:Exception in thread \"[^\"]*\" )?(?:.{{0,200}}: )??{_TYPE}(?:: (?P<value>.*))?$")
_SURE = re.compile(
    r"^(?:Exception in thread \"[^\"]*\" |(?:[^\n]{0,200}[\s:])??)(?P<type>(?:[\w$]+\.)*[\w$]*"
    r"(?:Exception|Error|Throwable|Failure|Fault|Abort|Interrupt)[\w$]*)(?:: (?P<value>.*))?$"
)
_LINKED = re.compile(
    rf"^(?P<indent>\s*)(?P<link>Caused by|Suppressed|Wrapped by): (?:\[CIRCULAR REFERENCE: ?)?{_TYPE}(?"
    rf":: (?P<value>.*?))?\]?$"
)
_LIBRARY = re.compile(
    r"^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|org\.codehaus|org\.springframework|org\.apache"
    r"|org\.eclipse|org\.hibernate|org\.jboss|org\.mortbay|org\.junit|junit|com\.google\.common|com\.fasterxml|io\.netty"
    r"|io\.undertow|reactor|rx|okhttp3|retrofit2|android|androidx|dalvik|com\.android|ch\.qos|org\.slf4j|akka|play"
    r"|io\.ktor|io\.micronaut|io\.quarkus|com\.zaxxer|org\.postgresql|com\.mysql|org\.gradle|org\.aopalliance|net\.sf)\."
)
_HEADS = (
    re.compile(r"\b(?:class|interface|enum|record|object)\s+(?P<name>\w+)"),
    re.compile(r"\bfun\s+(?:<[^>]*>\s*)?(?:[\w.]+\.)?(?P<name>\w+)\s*\("),
    re.compile(r"\b(?P<name>\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*(?:throws [\w.,\s]+)?$"),
)


@dataclass
class _Block:
    """One Throwable as printed: what it hangs on by its link and its depth."""

    link: str
    depth: int
    type: str
    value: str
    frames: list[Frame] = field(default_factory=list)

    def as_value(self) -> ExceptionValue:
        module, _, name = self.type.rpartition(".")
        return exception(name, self.value, self.frames, module=module)


class Java:
    """The `Language` of the JVM: one grammar, whichever language was compiled."""

    name = "java"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every trace, each with its causes first and the exception that ended the work last."""
        if "at " not in text:
            return []
        lines = lines_of(text)
        found, at, floor = [], 0, 0
        while at < len(lines):
            if not _FRAME.match(lines[at]):
                at += 1
                continue
            head = _head(lines, at, floor)
            block, at = _frames(lines, at, head or _Block("", 0, "", ""))
            blocks, at = _linked(lines, at, [block])
            floor = at
            if head is not None:
                found.append(_chain(blocks))
        return found

    def in_app(self, path: str) -> bool:
        """False for a class of the platform, of a language's runtime or of a common framework."""
        return bool(path) and _LIBRARY.match(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Class and method around a line, by braces."""
        return by_braces(source, line, _HEADS)


def _head(lines: list[str], first: int, floor: int) -> _Block | None:
    found = header_above(lines, first, floor, _HEADER, _SURE)
    while found and found[0] > floor and lines[found[0] - 1].strip().endswith("nested exception is:"):
        above = header_above(lines, found[0] - 1, floor, _SURE, _SURE)
        if above is None:
            break
        rest = "\n".join(lines[above[0] + 1 : first]).rstrip()
        found = (above[0], above[1], f"{above[1]['value'] or ''}\n{rest}")
    if found is None:
        return None
    if _SURE.match(lines[found[0]].strip()) is None and "." not in found[1]["type"]:
        sure = header_above(lines, first, floor, _SURE, _SURE)
        found = sure or found
    return _Block("", 0, found[1]["type"], found[2])


def _frames(lines: list[str], at: int, block: _Block) -> tuple[_Block, int]:
    """Read frames into a block; where the first line is that is none."""
    while at < len(lines):
        if match := _FRAME.match(lines[at]):
            block.frames.append(_frame(match))
        elif not _MORE.match(lines[at]):
            break
        at += 1
    return block, at


def _frame(match: re.Match[str]) -> Frame:
    module, source = match["module"], match["source"]
    name, _, line = source.rpartition(":") if re.search(r":\d+$", source) else (source, "", None)
    known = "." in name or name == "SourceFile"
    return frame(
        match["function"],
        name if known else None,
        line,
        module=module,
        in_app=_LIBRARY.match(module + ".") is None,
    )


def _linked(lines: list[str], at: int, blocks: list[_Block]) -> tuple[list[_Block], int]:
    """Causes and suppressed exceptions, to the end of the trace."""
    while at < len(lines) and (match := _LINKED.match(lines[at])):
        block = _Block(match["link"], len(match["indent"].expandtabs(4)), match["type"], match["value"] or "")
        first = at + 1
        limit = min(len(lines), first + HEADER_REACH)
        end = next(
            (
                n
                for n in range(first, limit)
                if _FRAME.match(lines[n]) or _MORE.match(lines[n]) or _LINKED.match(lines[n])
            ),
            None,
        )
        if end is None:
            blocks.append(block)
            return blocks, first
        block.value = "\n".join([block.value, *lines[first:end]]).rstrip()
        block, at = _frames(lines, end, block)
        blocks.append(block)
    return blocks, at


def _chain(blocks: list[_Block]) -> list[ExceptionValue]:
    """In the order of raising. What was suppressed comes before everything, and is marked so."""
    own: list[ExceptionValue] = [blocks[0].as_value()]
    suppressed: list[list[ExceptionValue]] = []
    depth = -1  # of the suppressed exception that a deeper "Caused by" belongs to
    for block in blocks[1:]:
        if block.link == "Wrapped by":
            own.insert(0, block.as_value())
        elif block.link == "Suppressed":
            suppressed.append([block.as_value()])
            depth = block.depth
        elif suppressed and block.depth >= depth > 0:
            suppressed[-1].append(block.as_value())
        else:
            own.append(block.as_value())
    asides = [
        each.model_copy(update={"mechanism": "suppressed"}) for group in suppressed for each in caused(group)
    ]
    return [*asides, *caused(own)]
