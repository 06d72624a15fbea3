"""Capsules as they are kept: read back from the artifacts, and told in lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from store.artifacts import Artifacts
from store.errors import NightdeskError
from store.event import Capsule, Event
from triage.capsule_walk import WORLD

PARTS = tuple(sorted(WORLD))  # of what the request met
_SHOWN = 400  # characters of one value


def with_content(event: Event, artifacts: Artifacts) -> Event:
    """The event with its capsule's content, where it has one that can be read."""
    if event.capsule is None or event.capsule.artifact is None:
        return event
    try:
        content = json.loads(artifacts.get(event.capsule.artifact))
    except (NightdeskError, ValueError):  # one that is lost is as none: the event is still there
        return event
    return event.model_copy(update={"capsule": event.capsule.model_copy(update={"content": content})})


def capsule_lines(capsule: Capsule | None) -> Iterator[str]:
    """What is in a capsule: its size, what was redacted and cut, what came in, the variables of each frame."""
    if capsule is None:
        return
    yield f"{capsule.size:,} bytes, {capsule.frames} frames, {capsule.cut} cut, {len(capsule.redacted)} redacted"
    content = capsule.content
    if content is None:
        yield "Its content is not there any more."
        return
    yield from (f"redacted {row[0]}: {row[1]}" for row in content["redacted"])
    yield from (f"cut {place}: {why}" for place, why in content["cut"].items())
    entry = content["entry"]
    yield from (f"entry {name} = {_written(node)}" for name, node in entry.items())
    for place, frame in enumerate(content["frames"]):
        yield f"frame {place}: {frame.get('module', '')}:{frame['line']} in {frame['function']}"
        yield from (f"    {name} = {_written(node)}" for name, node in frame["vars"].items())
        yield from (
            f"    {name} = {_written(node)} at the call" for name, node in frame.get("called", {}).items()
        )
    for part in PARTS:
        yield from _world(part, content.get(part))


def contents(capsule: Capsule | None) -> list[tuple[str, str]]:
    """What a capsule has, part by part: the part's name, and how much of it there is."""
    content = capsule.content if capsule else None
    if capsule is None or content is None:
        return []
    told = [("came in", str(content["entry"].get("kind", ""))), ("frames", str(capsule.frames))]
    for part in PARTS:
        if content.get(part):
            said = (
                f"{len(content[part]):,}"
                if isinstance(content[part], list)
                else ", ".join(_mapping(content[part]))
            )
            told.append((part, said))
    return [pair for pair in told if pair[1]] + [
        (name, f"{count:,}")
        for name, count in (("cut", capsule.cut), ("redacted", len(capsule.redacted)))
        if count
    ]


def _world(part: str, value: Any) -> Iterator[str]:
    """A part of what a request met, a line for each piece."""
    if isinstance(value, dict):
        yield from (f"{part} {name} = {_written(node)}" for name, node in value.items())
    for one in _list(value):
        if part == "exchanges" and isinstance(one, dict):
            came = one.get("status") or _mapping(one.get("error")).get("class", "nothing")
            yield f"exchange {one.get('method')} {one.get('url')}: {came} {_written(one.get('body'))}"
        elif part == "statements" and isinstance(one, dict):
            rows = _list(one.get("rows"))
            yield f"statement {one.get('sql')}: {len(rows)} rows {_written(rows)}"
        else:
            yield f"{part} {_written(one)}"


def _written(node: Any) -> str:
    text = _text(node)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _text(node: Any) -> str:
    """A node as a reader would write the value."""
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    if not isinstance(node, dict):
        return json.dumps(node, ensure_ascii=False)
    if "$" not in node:
        return (
            "{"
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_text(item)}" for key, item in node.items())
            + "}"
        )
    return _tagged(node)


def _tagged(node: Mapping[str, Any]) -> str:
    inner = node.get("of")
    words = {**_mapping(node.get("state")), **_mapping(node.get("kwargs"))}
    args = [*_list(node.get("args")), *(_list(inner) if node["$"] not in ("text", "dict") else [])]
    if node["$"] == "dict":
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in _list(inner)) + "}"
    if node["$"] in ("text", "bytes"):
        whole = f" … of {node['size']}" if "size" in node else ""
        return f"{_text(inner if node['$'] == 'text' else node.get('text', node.get('base64')))}{whole}"
    if node["$"] == "same":
        return f"(the same as {node.get('id')})"
    if node["$"] == "member":
        return f"{node.get('class')}.{node.get('name')}"
    if node["$"] in ("class", "function", "opaque", "cut", "redacted"):
        return f"<{node['$']} {node.get('name', node.get('class', node.get('why', '')))}>"
    parts = [_text(arg) for arg in args] + [f"{name}={_text(item)}" for name, item in words.items()]
    return f"{node.get('class', node.get('name', node['$']))}({', '.join(parts)})"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
