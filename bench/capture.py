"""What the capture client costs an application: Flask, FastAPI and Django, with sentry-sdk alone and with the client.

    python -m bench.capture [--rounds 400] [--only flask] [--work small] [--errors 0]

Each application runs in a process of its own; the two variants of one take turns, in rounds of a few requests, so that
what else the machine does falls on both. What is compared is the processor time of two rounds side by side: the median
of their ratios, and between which ratios it lies with 95 % confidence (by the order of the rounds, whatever their
distribution). Two kinds of work: `small` reads three rows, asks another service and draws a number, and does nothing
else; `page` does that, and renders a table and writes JSON, which takes some milliseconds. In both something
of every kind is asked that the client notes. Requests come as a server's gateway hands them on, without a client of the
bench's own, whose calls would be noted too. Latency is that of one request through the framework, without a socket. Memory is the process' high-water
mark. Once without errors, once with an error in every hundredth request. Nothing is sent.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import random
import resource
import secrets
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any
from wsgiref.util import setup_testing_defaults

import httpx

FRAMEWORKS = ("flask", "fastapi", "django")
WORK = ("small", "page")
TABLE = """<table>{% for line in lines %}<tr><td>{{ line.sku }}</td><td>{{ line.quantity }}</td>
<td>{{ "%.2f" | format(line.cents / 100) }}</td><td>{{ line.note | upper }}</td></tr>{% endfor %}</table>"""
ROWS_OF_TABLE = 200
CLIENT = Path(__file__).resolve().parents[1] / "clients" / "python"
BODY = {
    "lines": [{"sku": f"A-{number}", "quantity": number} for number in range(20)],
    "customer": {"id": 7, "tags": ["a", "b"]},
}


def total(order: dict[str, Any], *, fails: bool, page: bool) -> dict[str, Any]:
    """The work of one request; where it fails, some frames down."""
    found = sum(line["quantity"] * len(line["sku"]) for line in order["lines"])
    found += asked()
    answer: dict[str, Any] = {"total": found // 0 if fails else found}
    return {**answer, "table": rendered(found)} if page else answer


def rendered(cents: int) -> str:
    """What a page takes: a table from a template, and the same as JSON."""
    lines = [
        {"sku": f"A-{number}", "quantity": number, "cents": cents + number, "note": "in stock"}
        for number in range(ROWS_OF_TABLE)
    ]
    return str(template().render(lines=lines)) + json.dumps(lines)


@cache
def template() -> Any:
    """The template of a page."""
    import jinja2  # noqa: PLC0415

    return jinja2.Environment(autoescape=True).from_string(TABLE)


@cache
def world() -> tuple[Any, Any]:
    """A database of three rows, and another service, without a socket."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("create table price (sku text, cents integer)")
    database.executemany("insert into price values (?, ?)", [("A-1", 100), ("A-2", 200), ("A-3", 300)])
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"rate": 20}))
    return database, httpx.Client(transport=transport)


def asked() -> int:
    """What a request asks of others, all of which is noted: three statements, an answer, a random number."""
    database, client = world()
    rows = [
        database.execute("select cents from price where sku = ?", (sku,)).fetchone()
        for sku in ("A-1", "A-2", "A-3")
    ]
    rate = client.get("http://tax.example/rate").json()["rate"]
    return sum(cents for (cents,) in rows) * rate // 100 + random.randrange(2)  # noqa: S311


# --- applications --------------------------------------------------------------------------------------------------


def flask_call(page: bool) -> Callable[[bool], None]:
    """One request through Flask."""
    import flask  # noqa: PLC0415 - only the framework that is measured is loaded

    app = flask.Flask("shop")

    @app.post("/orders")
    def order() -> dict[str, Any]:
        return total(flask.request.get_json(), fails="fails" in flask.request.args, page=page)

    client = app.test_client()

    def call(fails: bool) -> None:
        client.post("/orders?fails=1" if fails else "/orders", json=BODY)

    return call


def fastapi_call(page: bool) -> Callable[[bool], None]:
    """One request through FastAPI, on one event loop."""
    import asyncio  # noqa: PLC0415

    import fastapi  # noqa: PLC0415

    app = fastapi.FastAPI()

    @app.post("/orders")
    async def order(body: dict[str, Any], fails: int = 0) -> dict[str, Any]:
        return total(body, fails=bool(fails), page=page)

    loop = asyncio.new_event_loop()
    content = json.dumps(BODY).encode()

    async def ask(query: bytes) -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/orders", "raw_path": b"/orders", "query_string": query, "root_path": "",
            "headers": [(b"host", b"shop.example"), (b"content-type", b"application/json"),
                        (b"content-length", b"%d" % len(content))],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            return

        with contextlib.suppress(ZeroDivisionError):
            await app(scope, receive, send)

    def call(fails: bool) -> None:
        loop.run_until_complete(ask(b"fails=1" if fails else b""))

    return call


def django_call(page: bool) -> Callable[[bool], None]:
    """One request through Django."""
    import django  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.http import JsonResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    def order(request: Any) -> Any:
        return JsonResponse(total(json.loads(request.body), fails="fails" in request.GET, page=page))

    settings.configure(
        ROOT_URLCONF=(path("orders", order),),
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=secrets.token_hex(),
        LOGGING_CONFIG=None,
    )
    django.setup()
    application, content = get_wsgi_application(), json.dumps(BODY).encode()

    def call(fails: bool) -> None:
        environ: dict[str, Any] = {
            "PATH_INFO": "/orders", "REQUEST_METHOD": "POST", "QUERY_STRING": "fails=1" if fails else "",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content)), "wsgi.input": io.BytesIO(content),
        }  # fmt: skip
        setup_testing_defaults(environ)
        answer = application(environ, lambda status, headers, error=None: None)
        for _ in answer:
            continue
        answer.close()

    return call


# --- measuring -----------------------------------------------------------------------------------------------------


def serve(framework: str, variant: str, work: str) -> None:
    """The process of one application: reads `count errors`, answers with latencies and memory."""
    import logging  # noqa: PLC0415

    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.transport import Transport  # noqa: PLC0415

    class Nowhere(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            envelope.serialize()

    integrations = []
    if variant == "with":
        sys.path.insert(0, str(CLIENT))
        from nightdesk_capture import NightdeskCapture  # noqa: PLC0415

        integrations = [NightdeskCapture()]
    logging.disable()
    sentry_sdk.init(dsn="http://key@localhost/1", transport=Nowhere, integrations=integrations)
    call = {"flask": flask_call, "fastapi": fastapi_call, "django": django_call}[framework](work == "page")
    served = 0
    for line in sys.stdin:
        count, errors = map(int, line.split())
        took = []
        used = process_time_ns()
        for _ in range(count):
            served += 1
            fails = bool(errors) and served % errors == 0
            started = perf_counter_ns()
            call(fails)
            took.append(perf_counter_ns() - started)
        used = process_time_ns() - used
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"took": took, "cpu": used / count, "memory": memory}), flush=True)


class Application:
    """One application in a process of its own, and what it was measured at."""

    def __init__(self, framework: str, variant: str, work: str) -> None:
        command = [sys.executable, "-m", "bench.capture", "--serve", framework, variant, work]
        self._running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.variant = variant
        self.took: list[int] = []  # latencies in nanoseconds
        self.cpu: list[float] = []  # processor time of a request, by round
        self.memory = 0  # kB

    def run(self, count: int, errors: int) -> None:
        """One round."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{count} {errors}\n")
        self._running.stdin.flush()
        answer = json.loads(self._running.stdout.readline())
        self.took += answer["took"]
        self.cpu.append(answer["cpu"])
        self.memory = answer["memory"]

    def said(self) -> str:
        """Latency, processor time and memory, in words."""
        every = sorted(self.took)
        p50, p99 = every[len(every) // 2] / 1000, every[len(every) * 99 // 100] / 1000
        return (f"p50 {p50:8.1f} µs  p99 {p99:9.1f} µs  processor {statistics.median(self.cpu) / 1000:8.1f} µs  "
                f"{self.memory / 1024:6.1f} MB")  # fmt: skip

    def end(self) -> None:
        """Stop it, and wait for it."""
        self._running.communicate(timeout=60)


def median_of(ratios: list[float]) -> tuple[float, float, float]:
    """The median, and the two values between which that of all rounds lies with 95 % confidence: those whose ranks are
    1.96 standard deviations of a binomial distribution from the middle."""
    ordered = sorted(ratios)
    away = math.ceil(0.98 * math.sqrt(len(ordered)))
    middle = len(ordered) // 2
    return (
        ordered[max(0, middle - away)],
        statistics.median(ordered),
        ordered[min(len(ordered) - 1, middle + away)],
    )


def measure(framework: str, work: str, errors: int, rounds: int) -> None:
    """Both variants of one application, taking turns. A round has one error where there are any."""
    requests = errors or (20 if work == "small" else 5)
    pair = [Application(framework, variant, work) for variant in ("without", "with")]
    for application in pair:
        for _ in range(20):  # until what is made once is made
            application.run(requests, errors)
        application.took.clear()
        application.cpu.clear()
    for turn in range(rounds):
        for application in pair if turn % 2 else pair[::-1]:
            application.run(requests, errors)
    without, with_it = pair
    least, median, most = median_of([a / b - 1 for a, b in zip(with_it.cpu, without.cpu, strict=True)])
    name = f"{framework:8} {work:6} {f'1 error in {errors}' if errors else 'no errors':14}"
    for application in pair:
        print(f"{name} {application.variant:8} {application.said()}", flush=True)
        application.end()
    more = statistics.median(a - b for a, b in zip(with_it.cpu, without.cpu, strict=True)) / 1000
    print(f"{name} the client: {median:+.2%} of processor time ({least:+.2%} to {most:+.2%}), {more:+.1f} µs; "
          f"the quietest rounds {min(with_it.cpu) / min(without.cpu) - 1:+.2%}", flush=True)  # fmt: skip


def main() -> int:
    """Measure all frameworks that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--only", choices=FRAMEWORKS, action="append")
    parser.add_argument("--work", choices=WORK, action="append")
    parser.add_argument(
        "--errors", type=int, action="append", help="one error in so many requests; 0 for none"
    )
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(*given.serve)
        return 0
    for framework, work, errors in product(
        given.only or FRAMEWORKS, given.work or WORK, (0, 100) if given.errors is None else given.errors
    ):
        measure(framework, work, errors, given.rounds if not errors else max(10, given.rounds // 5))
    return 0


if __name__ == "__main__":
    sys.exit(main())
