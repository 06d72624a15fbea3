"""Four mixes that tell how a tool groups, as labelled events for `nightdesk eval grouping`.

    python -m bench.grouping_mixes FILE.jsonl

storm: one failing line, 2,000 messages with another id each (1 group wanted). texts: 500 messages without a
stack, four times each (500). places: one message in 500 functions, four times each (500). free text: 50
functions that each raise ten free texts, four times each (50).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "inlet",
    "jetty",
    "knoll",
    "lagoon",
    "meadow",
    "north",
    "ocean",
    "prairie",
    "quarry",
    "ridge",
    "summit",
    "tundra",
    "upland",
    "valley",
    "willow",
    "yonder",
    "zephyr",
]


def phrase(number: int) -> str:
    """Another three words for each number below 15,625."""
    size = len(_WORDS)
    return f"{_WORDS[number % size]} {_WORDS[number // size % size]} {_WORDS[number // size**2 % size]}"


def _crash(function: str, value: str) -> dict[str, Any]:
    frame = {
        "function": function,
        "module": "shop.jobs",
        "filename": "shop/jobs.py",
        "lineno": 7,
        "in_app": True,
    }
    return {
        "exception": {"values": [{"type": "RuntimeError", "value": value, "stacktrace": {"frames": [frame]}}]}
    }


def events() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(mix, group, event)."""
    for number in range(2000):
        yield (
            "storm",
            "storm",
            _crash("settle", f"order {number * 7919 % 99991} of user u-{number:05x} failed"),
        )
        text = phrase(number % 500)
        yield "texts", f"texts {text}", {"message": f"cannot reach the {text}", "level": "error"}
        place = f"{phrase(number % 500).replace(' ', '_')}"
        yield "places", f"places {place}", _crash(place, "it did not work")
        free = f"free_{phrase(number % 50)}".replace(" ", "_")
        yield (
            "free text",
            f"free {free}",
            _crash(free, f"{phrase(number % 500 * 31)} while at {phrase(number % 500)}"),
        )


def main() -> int:
    """Write the file."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    lines = [
        json.dumps(
            {"id": str(number), "source": mix, "group": group, "event": {"platform": "python", **event}}
        )
        for number, (mix, group, event) in enumerate(events())
    ]
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
