"""Log lines name the incident, the attempt and the step they are about."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading

from server.operating.logs import JsonLines, TextLines, about, subject


def record(message: str, failed: BaseException | None = None) -> logging.LogRecord:
    info = (type(failed), failed, None) if failed else None
    return logging.LogRecord("nightdesk.work", logging.WARNING, "f.py", 1, message, (), info)


def test_a_line_names_what_it_is_about_while_that_lasts_and_no_longer() -> None:
    with about("causes", incident="INC-4", attempt="INC-4-1"):
        inside = json.loads(JsonLines().format(record("slow")))
        with about("minimise"):
            assert subject() == {"incident": "INC-4", "attempt": "INC-4-1", "step": "minimise"}
    outside = json.loads(JsonLines().format(record("slow")))
    assert (inside["incident"], inside["attempt"], inside["step"]) == ("INC-4", "INC-4-1", "causes")
    assert (inside["level"], inside["logger"], inside["message"]) == ("warning", "nightdesk.work", "slow")
    assert "incident" not in outside


def test_an_exception_and_control_signs_stay_within_one_json_line() -> None:
    line = JsonLines().format(record("a\nb\x1b[31m\u2028", ValueError("bad\nvalue")))
    assert "\n" not in line
    assert "\x1b" not in line
    assert "ValueError: bad\nvalue" in json.loads(line)["exception"]


def test_text_lines_carry_the_ids_in_brackets() -> None:
    lines = TextLines("%(levelname)s%(about)s %(message)s")
    with about("triage", incident="INC-7"):
        assert lines.format(record("slow")) == "WARNING [incident=INC-7 step=triage] slow"
    assert lines.format(record("slow")) == "WARNING slow"


def test_two_threads_are_about_different_things() -> None:
    seen: dict[str, str] = {}
    both = threading.Barrier(2)

    def work(name: str) -> None:
        with about("causes", incident=name):
            both.wait(10)
            seen[name] = subject()["incident"]

    threads = [threading.Thread(target=work, args=(name,)) for name in ("INC-1", "INC-2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {"INC-1": "INC-1", "INC-2": "INC-2"}


def test_steps_are_spans_where_a_collector_is_named() -> None:
    code = (
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter as M\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor as S\n"
        "from opentelemetry import trace\n"
        "from server.operating import logs\n"
        "logs.configure('json')\n"
        "kept = M(); trace.get_tracer_provider().add_span_processor(S(kept))\n"
        "with logs.about('causes', incident='INC-1'): pass\n"
        "(span,) = kept.get_finished_spans(); print(span.name, span.attributes['nightdesk.incident'])\n"
        "import os; os._exit(0)\n"
    )
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-u", "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "causes INC-1\n", done.stderr
