"""C# and F#: what .NET, the .NET Framework and Mono print of an exception with those inside it."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import exception, frame, header_above, lines_of

_FRAME = re.compile(
    r"^\s*(?:at|в|à|bei|en|在) (?P<method>(?!async )[^\s(][^(]*?) ?(?P<arguments>\((?:[^()]|\([^()]*\))*\))"
    r"(?: \[0x[0-9a-f]+\])?(?: in (?P<path>.+?):(?:line |Zeile |ligne )?(?P<line>\d+))?(?P<last><---)?\s*$"
)
_FOREIGN = re.compile(
    r"\.(?:java|kt|scala|groovy)(?::\d+)?\)|\) ~?\[(?!0x)|^\s*at [\w.@]*/|\((?:Native Method|Unknown Source|"
    r"native|<anonymous>)\)|:\d+:\d+\)"
)
_INNER_END = re.compile(r"^\s*--- End of inner exception stack trace ---")
_AGAIN = re.compile(r"^\s*--- End of (?:stack trace from previous location|managed stack trace)")
_ARROW = re.compile(r"^\s*---> (?:\(Inner Exception #\d+\) )?(?P<rest>.*)$")
_MEMBER = re.compile(r"^\s*---> \(Inner Exception #(?P<number>\d+)\) (?P<rest>.*?)(?:<---)?$")
_MEMBER_LINE = re.compile(r"^\s*(?:<---|--- End of .*)?\s*$")
_TYPE = r"(?P<type>(?:[A-Za-z_]\w*[.+])*[A-Za-z_]\w*(?:`\d+(?:\[[^\]]*\])?)?)"
_HEADER = re.compile(
    rf"^(?:.{{0,200}}?(?:Unhandled [Ee]xception|UNHANDLED EXCEPTION)[.:] ?)?{_TYPE}(?: \(0x[0-9A-F]+\))"
    rf"?(?:: (?P<value>.*))?$"
)
_SURE = re.compile(
    r"^(?:.{0,200}?[\s:\]])??(?P<type>(?:[A-Za-z_]\w*[.+])*\w*(?:Exception|Error|Fault)(?:`\d+(?:\[[^"
    r"\]]*\])?)?)(?: \(0x[0-9A-F]+\))?(?:: (?P<value>.*))?$"
)
_LIBRARY = re.compile(
    r"^(?:System|Microsoft|Mono|Newtonsoft|NUnit|Xunit|MS|Interop|Internal|FSharp|Npgsql|Dapper|Polly|Serilog)\."
)
_LIBRARY_PATH = re.compile(r"^/_/|[/\\]\.nuget[/\\]|^<[\w ]+>$|[/\\]dotnet[/\\]|^/build/|[/\\]_work[/\\]")
_HEADS = (
    re.compile(r"\b(?:class|struct|interface|record|enum|namespace)\s+(?P<name>[\w.]+)"),
    re.compile(r"\b(?P<name>\w+)\s*(?:<[^<>]*>)?\s*\([^(){}]*\)\s*(?:where [^{]*|=>\s*)?$"),
)


class CSharp:
    """The `Language` of .NET."""

    name = "csharp"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every exception with the ones inside it, the innermost first."""
        if " at " not in text and "\tat " not in text and "\nat " not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = floor = 0
        while at < len(lines):
            if not self._is_frame(lines[at], first=True):
                at += 1
                continue
            chain, end = self._chain(lines, at, floor)
            repeated = found and found[-1] == chain and _told_again(lines, floor, at)
            if chain and not repeated:
                found.append(chain)
            at = floor = end
        return found

    def in_app(self, path: str) -> bool:
        """False for namespaces of the platform and of common packages, and for files that were built elsewhere."""
        return bool(path) and _LIBRARY.match(path) is None and _LIBRARY_PATH.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Namespace, class and method around a line, by braces."""
        return by_braces(source, line, _HEADS)

    def _is_frame(self, line: str, *, first: bool = False) -> bool:
        """Whether this line is a frame. A name without a dot is one only among others."""
        match = _FRAME.match(line)
        if match is None or _FOREIGN.search(line):
            return False
        return not first or "." in match["method"] or match["path"] is not None

    def _chain(self, lines: list[str], at: int, floor: int) -> tuple[list[ExceptionValue], int]:
        """All exceptions of one trace. Their messages stand above the first frame, the outermost first; the frames
        come from the innermost outwards, with a line between that says so."""
        heads = _heads(lines, at, floor)
        stacks: list[list[Frame]] = [[]]
        while at < len(lines):
            if self._is_frame(lines[at]):
                stacks[-1].append(self._frame(lines[at]))
            elif _INNER_END.match(lines[at]):
                stacks.append([])
            elif not _AGAIN.match(lines[at]):
                break
            at += 1
        members, at = self._members(lines, at)
        if not heads:
            return [], at
        chain = []
        for place, (kind, value) in enumerate(reversed(heads)):
            frames = stacks[place] if place < len(stacks) else []
            chain.append(exception(kind, value, frames, chained="cause" if place else None))
        if members:
            chain = [*chain[:-1], *members, chain[-1].model_copy(update={"chained": "group"})]
        return chain, at

    def _members(self, lines: list[str], at: int) -> tuple[list[ExceptionValue], int]:
        """The members that an AggregateException lists after its own stack, without the first: it stood above."""
        members: list[ExceptionValue] = []
        while at < len(lines) and (match := _MEMBER.match(lines[at])):
            head = _HEADER.match(match["rest"].strip())
            frames: list[Frame] = []
            at += 1
            while at < len(lines) and (self._is_frame(lines[at]) or _MEMBER_LINE.match(lines[at])):
                frames += [self._frame(lines[at])] if self._is_frame(lines[at]) else []
                at += 1
            if head and match["number"] != "0":
                members.append(exception(head["type"], head["value"], frames))
        return members, at

    def _frame(self, line: str) -> Frame:
        match = _FRAME.match(line)
        assert match is not None  # noqa: S101 - asked for by `_is_frame`
        module, dot, function = match["method"].strip().rpartition(".")
        if module.endswith("."):  # `Shop.Cart..ctor`
            module, function = module[:-1], f".{function}"
        path = match["path"]
        own = _LIBRARY.match(f"{module}.") is None and (path is None or _LIBRARY_PATH.search(path) is None)
        return frame(function, path, match["line"], module=module if dot else None, in_app=own)


def _heads(lines: list[str], at: int, floor: int) -> list[tuple[str, str]]:
    """(type, message) of each exception above the first frame, the outermost first."""
    top = at
    found = header_above(lines, at, floor, _ARROW_OR_HEADER, _SURE)
    while found is not None and _ARROW.match(lines[found[0]]):
        top = found[0]
        above = header_above(lines, top, floor, _ARROW_OR_HEADER, _SURE)
        if above is None:
            break
        found = above
    if found is None:
        return []
    parts: list[str] = []
    for line in lines[found[0] : at]:
        arrow = _ARROW.match(line)
        pieces = (arrow["rest"] if arrow else line).split(" ---> ")
        if arrow or not parts:
            parts += pieces
        else:
            parts[-1] += "\n" + pieces[0]
            parts += pieces[1:]
    heads = [
        (part, _HEADER.match(part.split("\n")[0].strip()) or _SURE.match(part.split("\n")[0].strip()))
        for part in parts
    ]
    return [
        (
            match["type"].removeprefix("(Inner Exception #0) "),
            "\n".join([match["value"] or "", *part.split("\n")[1:]]),
        )
        for part, match in heads
        if match
    ]


_ARROW_OR_HEADER = re.compile(
    rf"^(?:\s*---> .*|(?:.{{0,200}}?(?:Unhandled [Ee]xception|UNHANDLED EXCEPTION)[.:] ?)?{_TYPE}(?: \("
    rf"0x[0-9A-F]+\))?(?:: .*)?)$(?P<value>)"
)


def _told_again(lines: list[str], floor: int, at: int) -> bool:
    """Mono writes an unhandled exception twice, the second time marked as fatal."""
    return any("FATAL UNHANDLED EXCEPTION" in line for line in lines[floor:at])
