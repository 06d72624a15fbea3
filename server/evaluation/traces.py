"""Measuring the trace grammars: texts with the exceptions that are in them, one `*.expected.json` beside each.

Two spellings of one thing are the same thing: a type or a function with or without what it belongs to, a file by its
whole path or the end of it, and a recursion however many of its equal frames are kept. What a label leaves out is not
asked for. Texts without a label are read too, and what was found in them is shown.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from store.errors import BadPayload
from store.event import ExceptionValue, Frame
from triage.formats.log_lines import streams
from triage.formats.traceback_text import chains

_SEPARATOR = re.compile(r"::|->|[.#/\\$+]")
_DECORATION = re.compile(r"^async |^new | \[as .*\]$|\(.*\)$")
LABEL = ".expected.json"
FILES = frozenset({".txt", ".log", ".json"})


class TraceCase(BaseModel):
    """One text. Without a label only `languages`, `exceptions_found` and `frames_found` mean something."""

    case: str
    labelled: bool
    languages: list[str]
    exceptions_wanted: int = 0
    exceptions_found: int = 0
    types_right: int = 0
    values_right: int = 0
    frames_wanted: int = 0
    frames_found: int = 0
    frames_right: int = 0
    in_app_wanted: int = 0
    in_app_right: int = 0
    exact: bool = False

    @property
    def language(self) -> str:
        """What the case counts for: the languages found in it; else what its name begins with."""
        return "+".join(self.languages) or self.case.rpartition("/")[2].partition("-")[0].partition(".")[0]


def measure(folder: Path) -> list[TraceCase]:
    """Every text below a folder, read by every grammar. Raises BadPayload for a label that is no list."""
    texts = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix in FILES
        and not path.name.endswith(LABEL)
        and path.name != "README.txt"
    ]
    return [_case(path, path.relative_to(folder).as_posix()) for path in texts]


def summary(cases: Sequence[TraceCase]) -> dict[str, Any]:
    """Rates over the labelled cases, all and by language, and how many others had a trace in them."""
    labelled = [case for case in cases if case.labelled]
    others = [case for case in cases if not case.labelled]
    by_language: dict[str, list[TraceCase]] = defaultdict(list)
    for case in labelled:
        by_language[case.language].append(case)
    read: dict[str, int] = defaultdict(int)
    for case in others:
        for language in case.languages:
            read[language] += 1
    return {
        "n": len(labelled),
        **_rates(labelled),
        "languages": {
            name: {"n": len(group), **_rates(group)} for name, group in sorted(by_language.items())
        },
        "unlabelled": {
            "n": len(others),
            "with_a_trace": sum(bool(case.languages) for case in others),
            "languages": dict(sorted(read.items())),
        },
    }


def _rates(cases: Sequence[TraceCase]) -> dict[str, float | None]:
    def share(right: str, of: str) -> float | None:
        whole = sum(getattr(case, of) for case in cases)
        return round(sum(getattr(case, right) for case in cases) / whole, 4) if whole else None

    return {
        "exact": round(sum(case.exact for case in cases) / len(cases), 4) if cases else None,
        "types": share("types_right", "exceptions_wanted"),
        "values": share("values_right", "exceptions_wanted"),
        "exceptions_precision": share("types_right", "exceptions_found"),
        "frames_recall": share("frames_right", "frames_wanted"),
        "frames_precision": share("frames_right", "frames_found"),
        "in_app": share("in_app_right", "in_app_wanted"),
    }


def _case(path: Path, name: str) -> TraceCase:
    text = path.read_text(encoding="utf-8", errors="replace")
    found = [(language, chain) for stream in streams(text) for language, chain in chains(stream.text)]
    raised = [each for _, chain in found for each in chain]
    languages = sorted({language for language, _ in found})
    label = path.with_name(path.name.removesuffix(path.suffix) + LABEL)
    if not label.exists():
        return TraceCase(
            case=name,
            labelled=False,
            languages=languages,
            exceptions_found=len(raised),
            frames_found=sum(len(each.frames) for each in raised),
        )
    wanted = json.loads(label.read_text(encoding="utf-8"))
    if not isinstance(wanted, list):
        raise BadPayload(f"{label} is not a list of exceptions.")
    return _scored(name, languages, wanted, raised)


def _scored(
    name: str, languages: list[str], wanted: list[dict[str, Any]], raised: list[ExceptionValue]
) -> TraceCase:
    scores = TraceCase(case=name, labelled=True, languages=languages)
    left = list(raised)
    counts: dict[str, int] = defaultdict(int)
    for one in wanted:
        frames = _without_repeats(one.get("frames") or [])
        counts["frames_wanted"] += len(frames)
        counts["in_app_wanted"] += sum("in_app" in each for each in frames)
        if not left:
            continue
        best = max(left, key=lambda each: _closeness(one, frames, each))
        if not any(_closeness(one, frames, best)):
            continue
        left.remove(best)
        pairs = _aligned(frames, _without_repeats(list(best.frames)))
        counts["types_right"] += _same_type(one.get("type"), best)
        counts["values_right"] += _same_value(one.get("value"), best.value)
        counts["frames_right"] += len(pairs)
        counts["in_app_right"] += sum(
            label.get("in_app") is frame.in_app for label, frame in pairs if "in_app" in label
        )
    counts["frames_found"] = sum(len(_without_repeats(list(each.frames))) for each in raised)
    counts["exceptions_wanted"], counts["exceptions_found"] = len(wanted), len(raised)
    made = scores.model_copy(update=dict(counts))
    return made.model_copy(update={"exact": _is_exact(made)})


def _is_exact(case: TraceCase) -> bool:
    """Nothing missing, nothing too much, nothing different."""
    return (
        case.exceptions_wanted == case.exceptions_found == case.types_right == case.values_right
        and case.frames_wanted == case.frames_found == case.frames_right
        and case.in_app_wanted == case.in_app_right
    )


def _closeness(one: dict[str, Any], frames: list[Any], raised: ExceptionValue) -> tuple[int, int, int]:
    return (
        int(_same_type(one.get("type"), raised)),
        int(_same_value(one.get("value"), raised.value)),
        len(_aligned(frames, _without_repeats(list(raised.frames)))),
    )


def _same_type(wanted: str | None, raised: ExceptionValue) -> bool:
    whole = f"{raised.module}.{raised.type}" if raised.module else raised.type
    return wanted is None or _same_name(wanted, raised.type) or _same_name(wanted, whole)


def _same_value(wanted: str | None, value: str) -> bool:
    return wanted is None or " ".join(wanted.split()) == " ".join(value.split())


def _same_name(one: str, other: str) -> bool:
    """Equal, or one is the end of the other at a separator."""
    one, other = (_DECORATION.sub("", name).strip() for name in (one, other))
    short, long = sorted((one, other), key=len)
    if short == long:
        return True
    parts = _SEPARATOR.split(long)
    return bool(short) and _SEPARATOR.split(short) == parts[-len(_SEPARATOR.split(short)) :]


def _same_frame(label: dict[str, Any], frame: Frame) -> bool:
    whole = f"{frame.module}.{frame.function}" if frame.module else frame.function or ""
    function, path, line = label.get("function"), label.get("filename"), label.get("lineno")
    if function and not (_same_name(function, frame.function or "") or _same_name(function, whole)):
        return False
    if line is not None and line != frame.lineno and (line or frame.lineno):
        return False
    mine = (frame.filename or "").replace("\\", "/").removeprefix("./")
    theirs = (path or "").replace("\\", "/").removeprefix("./")
    short, long = sorted((mine, theirs), key=len)
    return not path or short == long or (bool(short) and long.endswith("/" + short))


def _without_repeats(frames: list[Any]) -> list[Any]:
    """Each run of equal frames once, and without the mark of those left out."""

    def key(frame: Any) -> Any:
        if isinstance(frame, Frame):
            return (frame.function, frame.filename, frame.lineno)
        return (frame.get("function"), frame.get("filename"), frame.get("lineno"))

    runs = [next(group) for _, group in groupby(frames, key)]
    kept = [
        each
        for each in runs
        if not (isinstance(each, Frame) and (each.function or "").endswith("frames left out]"))
    ]
    return [next(group) for _, group in groupby(kept, key)]


def _aligned(labels: list[dict[str, Any]], frames: list[Frame]) -> list[tuple[dict[str, Any], Frame]]:
    """The longest run of labels that the frames have in the same order (both oldest first)."""
    rows = [[0] * (len(frames) + 1) for _ in range(len(labels) + 1)]
    for i in range(len(labels) - 1, -1, -1):
        for j in range(len(frames) - 1, -1, -1):
            same = _same_frame(labels[i], frames[j])
            rows[i][j] = max(rows[i + 1][j], rows[i][j + 1], rows[i + 1][j + 1] + 1 if same else 0)
    pairs, i, j = [], 0, 0
    while i < len(labels) and j < len(frames):
        if _same_frame(labels[i], frames[j]) and rows[i][j] == rows[i + 1][j + 1] + 1:
            pairs.append((labels[i], frames[j]))
            i, j = i + 1, j + 1
        elif rows[i + 1][j] >= rows[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
