"""What a crash gives to go by: places in the team's code, names that its message quotes, words of its trace."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixloop.reproduce.frames import OwnFrame
from fixloop.situation import Situation, is_test
from store.event import Frame
from triage.paths import installed, normal

FRAMES = 12  # own frames that are looked at, from the innermost outwards
_QUOTED = re.compile(r"'([A-Za-z_][\w.-]{1,60})'|\"([A-Za-z_][\w.-]{1,60})\"|`([A-Za-z_][\w.-]{1,60})`")
_WORD = re.compile(r"[A-Za-z_]\w{3,}")
_TYPES = frozenset(
    [
        "NoneType",
        "str",
        "int",
        "list",
        "dict",
        "tuple",
        "float",
        "bytes",
        "set",
        "object",
        "bool",
        "type",
        "function",
    ]
)
_PLAIN = frozenset(
    re.findall(
        r"\w+",
        """
        self assert assertEqual assertIs assertTrue assertFalse assertRaises assertRaisesMessage assertIn
        assertIsNone Error Exception Traceback File line most recent call last return None True False raise with
        from import object has attribute have been must cannot that this when should string args kwargs test
        tests super __init__ __call__ class func function method value name result data expected actual
        """,
    )
)


@dataclass(frozen=True)
class Spot:
    """A place to look at. `depth` is 0 for the innermost; without a line and a name it is the whole file."""

    repo: str
    path: str
    line: int | None = None
    name: str | None = None
    depth: int = 0


@dataclass(frozen=True)
class Clues:
    """All of it. `tests` are test files of the trace, `in_tests` the places in them; `names` what the message says is
    missing or wrong; `words` the identifiers that the trace shows; `packages` third-party modules that were on the
    stack."""

    spots: tuple[Spot, ...]
    tests: tuple[tuple[str, str], ...] = ()  # repository, path
    names: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    in_tests: tuple[Spot, ...] = ()


def clues_of(situation: Situation) -> Clues:
    """What the events of an incident give."""
    if not situation.events:
        return Clues(())
    sighting = situation.first
    own = list(reversed(sighting.own))
    product = [frame for frame in own if not is_test(frame.location.path)]
    tested = [frame for frame in own if is_test(frame.location.path)]
    tests = dict.fromkeys((frame.location.repo, frame.location.path) for frame in tested)
    messages = [one.event.exception.value or "" for one in situation.sightings[:5] if one.event.exception]
    frames = sighting.event.exception.frames if sighting.event.exception else ()
    shown = [
        text for frame in frames if frame.in_app for text in (frame.context_line, frame.function) if text
    ]
    packages = {_package(frame) for frame in frames if not frame.in_app}
    return Clues(
        spots=_spots(product), tests=tuple(tests), names=missing_names(situation),
        words=words([*shown, *messages[:1]]), packages=frozenset(packages - {""}), in_tests=_spots(tested),
    )  # fmt: skip


def _spots(frames: Sequence[OwnFrame]) -> tuple[Spot, ...]:
    """The places of frames that are given from the innermost outwards."""
    return tuple(
        Spot(
            one.location.repo,
            one.location.path,
            one.location.line or one.frame.lineno,
            one.frame.function,
            depth,
        )
        for depth, one in enumerate(frames[:FRAMES])
    )


def _package(frame: Frame) -> str:
    """The installed package that a frame is in, or nothing."""
    package = installed(normal(frame.abs_path or frame.filename or ""))
    inside = package.rest if package else None
    name = inside.partition("/")[0].removesuffix(".py") if inside else (frame.module or "").partition(".")[0]
    return "" if name in sys.stdlib_module_names else name


def missing_names(situation: Situation) -> tuple[str, ...]:
    """Names that the messages quote: the missing key, attribute, column."""
    errors = (sighting.event.exception for sighting in situation.sightings[:5])
    return quoted(error.value or "" for error in errors if error)


def quoted(messages: Iterable[str]) -> tuple[str, ...]:
    """The names that stand in quotes, types of the language left out; at most five."""
    names: dict[str, None] = {}
    for message in messages:
        for match in _QUOTED.finditer(message[:2000]):
            name = next(group for group in match.groups() if group)
            if name not in _TYPES:
                names[name.rpartition(".")[2]] = None
    return tuple(names)[:5]


def words(texts: Iterable[str]) -> frozenset[str]:
    """The identifiers in texts, without those that every trace has; at most sixty."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(text[:2000]):
            if word not in _PLAIN:
                found[word] = None
    return frozenset(list(found)[:60])
