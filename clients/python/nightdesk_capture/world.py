"""What a capsule has beside the entry and the frames: what the request met on its way, from its trail and around it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from nightdesk_capture import ambient, exchanges, rows, surroundings
from nightdesk_capture.encode import Encoder, slim
from nightdesk_capture.limits import Limits
from nightdesk_capture.settings import Settings
from nightdesk_capture.trail import Trail

NOT_NOTED = "what it met was not noted, as notes had cost enough; that of the next failures here is"


def world_of(
    trail: Trail,
    frames: Sequence[Any],
    event: Mapping[str, Any],
    chosen: Settings,
    encoder: Encoder,
    limits: Limits,
) -> Dict[str, Any]:
    """The parts by name, in order of importance; one that is empty, off, or fails is not among them."""
    notes = trail.notes

    def value(item: Any, place: str) -> Any:
        name = place.rpartition("/")[2]
        return slim(encoder.attribute(name, item, place, -1))

    parts: Dict[str, Callable[[], Any]] = {
        "exchanges": lambda: [
            _fitting(one, at, encoder, limits) for at, one in enumerate(exchanges.told(notes["exchanges"]))
        ],
        "statements": lambda: rows.told(list(notes["statements"])[-limits.items :], value, limits.items),
        "draws": lambda: ambient.told_draws(notes["draws"]),
        "environment": lambda: {
            name: value(item, f"/environment/{name}") for name, item in surroundings.environment(frames).items()
        },
        "flags": lambda: [*surroundings.flags(event), *ambient.told_plain(notes["flags"], value, "flags")],
        "files": lambda: ambient.told_files(notes["files"], limits.text),
        "cache": lambda: ambient.told_plain(notes["cache"], value, "cache"),
        "clock": surroundings.clock,
        "manifest": lambda: surroundings.manifest(event),
        "hints": lambda: value(surroundings.hints(event), "/hints"),
        "together": surroundings.together,
        "memory": lambda: surroundings.memory() if chosen.more else [],
    }  # fmt: skip
    found: Dict[str, Any] = {}
    if not trail.is_noted:
        encoder.cut["/world"] = NOT_NOTED
    for name, make in parts.items():
        if name not in chosen.parts_off:
            try:
                made = make()
            except Exception:  # the other parts can be had
                encoder.cut[f"/{name}"] = "failed"
                continue
            if made:
                found[name] = made
    return found


def _fitting(one: Dict[str, Any], at: int, encoder: Encoder, limits: Limits) -> Dict[str, Any]:
    """An exchange without the bodies that are too large: half an answer is none."""
    body = one["body"]
    size = len(body["b64"]) * 3 // 4 if type(body) is dict else len(body or "")
    if size > limits.text:
        one["body"], one["size"] = None, size
    if "size" in one:
        encoder.cut[f"/exchanges/{at}/body"] = f"{one['size']} bytes"
    asked = one["request"]
    if len(asked["body"] or "") > limits.text:
        asked["body"] = None
        encoder.cut[f"/exchanges/{at}/request/body"] = "size"
    return one
