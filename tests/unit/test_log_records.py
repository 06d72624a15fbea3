"""Log lines as platforms and log stores hand them out."""

from __future__ import annotations

import json

import pytest

from triage.formats.log_lines import streams
from triage.formats.traceback_text import chains

TRACE = "TypeError: n is not a function\n    at price (/app/cart.js:2:10)\n    at run (/app/cart.js:9:1)"
LINES = TRACE.split("\n")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"events": [{"timestamp": 1763632800000 + n, "message": line} for n, line in enumerate(LINES)]}),
        json.dumps([{"textPayload": line, "timestamp": f"2026-11-20T10:00:0{9 - n}Z"} for n, line in enumerate(LINES[::-1])]),
        json.dumps({"data": {"result": [{"stream": {"app": "a"}, "values": [[f"{n}", line] for n, line in enumerate(LINES)]}]}}),
        json.dumps({"jsonPayload": {"message": "failed", "stack_trace": TRACE}, "severity": "ERROR"}),
        json.dumps({"level": "error", "msg": "failed", "err": {"message": "n is not a function", "stack": TRACE}}),
        "\n".join(f"2026-11-20T10:00:00.00{n}Z {line}" for n, line in enumerate(["a", *LINES, "b"])),
        "\n".join(f"2026-11-20T10:00:00.00{n}Z app[17814] ord [info]{line}" for n, line in enumerate(LINES)),
        "\n".join(f"2026-11-20T10:00:00.00{n}+00:00 2026/11/20/[$LATEST]0ab1 {line}" for n, line in enumerate(LINES)),
        "\n".join(f"[pid 12] {line}" for line in ["start", *LINES, "stop"]),
        "\n".join(f"10:00:0{n} web.1   | {line}" for n, line in enumerate(LINES)),
        "\n".join("shop-1  | " + json.dumps({"log": line}) for line in LINES),
        "\n".join(f"Nov 20 10:00:00 web-1 app[1]: {line.replace('    ', '#011')}" for line in LINES),
        "\n".join(json.dumps({"MESSAGE": line, "_PID": "12", "__REALTIME_TIMESTAMP": "1763632800000000"}) for line in LINES),
    ],
)  # fmt: skip
def test_a_trace_is_found_whatever_the_log_store_makes_of_its_lines(text: str) -> None:
    read = [each for stream in streams(text) for each in chains(stream.text)]
    assert [(language, chain[-1].type, len(chain[-1].frames)) for language, chain in read] == [
        ("javascript", "TypeError", 2)
    ]


def test_two_processes_in_one_journal_are_kept_apart() -> None:
    rows = [json.dumps({"MESSAGE": line, "_PID": pid}) for line in LINES for pid in ("12", "13")]
    read = [each for stream in streams("\n".join(rows)) for each in chains(stream.text)]
    assert len(read) == 2


def test_a_time_before_each_line_is_left_where_lines_do_not_continue() -> None:
    text = "\n".join(f"2026-11-20 10:00:0{n} INFO served" for n in range(6))
    (stream,) = streams(text)
    assert stream.lines[0] == "2026-11-20 10:00:00 INFO served"
