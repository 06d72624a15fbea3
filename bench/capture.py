"""What the capture client costs an application: Flask, FastAPI and Django, with sentry-sdk alone and with the client.

    python -m bench.capture [--requests 100] [--rounds 60]

Each application runs in a process of its own; the two variants of one take turns, round by round, so that what else the
machine does falls on both. A request asks a database and another service and draws a number, so that every note of the
client is made. Latency is that of one request through the framework, without a socket; processor time is what the
process used for it: the median of rounds, and the least of all, which others who use the machine disturb least. Memory is
the process' high-water mark. Once without errors, once with an error in every hundredth request. Nothing is sent.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import secrets
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

FRAMEWORKS = ("flask", "fastapi", "django")
CLIENT = Path(__file__).resolve().parents[1] / "clients" / "python"
BODY = {
    "lines": [{"sku": f"A-{number}", "quantity": number} for number in range(20)],
    "customer": {"id": 7, "tags": ["a", "b"]},
}


def total(order: dict[str, Any], *, fails: bool) -> int:
    """The work of one request; where it fails, some frames down."""
    found = sum(line["quantity"] * len(line["sku"]) for line in order["lines"])
    found += asked()
    return found // 0 if fails else found


@cache
def world() -> tuple[Any, Any]:
    """A database of three rows, and another service, without a socket."""
    import sqlite3  # noqa: PLC0415 - after the client has put its hooks

    import httpx  # noqa: PLC0415

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


def flask_call() -> Callable[[bool], None]:
    """One request through Flask."""
    import flask  # noqa: PLC0415 - only the framework that is measured is loaded

    app = flask.Flask("shop")

    @app.post("/orders")
    def order() -> dict[str, int]:
        return {"total": total(flask.request.get_json(), fails="fails" in flask.request.args)}

    client = app.test_client()

    def call(fails: bool) -> None:
        client.post("/orders?fails=1" if fails else "/orders", json=BODY)

    return call


def fastapi_call() -> Callable[[bool], None]:
    """One request through FastAPI, on one event loop."""
    import asyncio  # noqa: PLC0415

    import fastapi  # noqa: PLC0415
    import httpx  # noqa: PLC0415

    app = fastapi.FastAPI()

    @app.post("/orders")
    async def order(body: dict[str, Any], fails: int = 0) -> dict[str, int]:
        return {"total": total(body, fails=bool(fails))}

    loop = asyncio.new_event_loop()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop.example")

    def call(fails: bool) -> None:
        loop.run_until_complete(client.post("/orders?fails=1" if fails else "/orders", json=BODY))

    return call


def django_call() -> Callable[[bool], None]:
    """One request through Django."""
    import django  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415
    from django.http import JsonResponse  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    def order(request: Any) -> Any:
        return JsonResponse({"total": total(json.loads(request.body), fails="fails" in request.GET)})

    settings.configure(
        ROOT_URLCONF=(path("orders", order),),
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=secrets.token_hex(),
        LOGGING_CONFIG=None,
    )
    django.setup()
    client = Client(raise_request_exception=False)

    def call(fails: bool) -> None:
        client.post("/orders?fails=1" if fails else "/orders", BODY, content_type="application/json")

    return call


# --- measuring -----------------------------------------------------------------------------------------------------


def serve(framework: str, variant: str) -> None:
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
    call = {"flask": flask_call, "fastapi": fastapi_call, "django": django_call}[framework]()
    for line in sys.stdin:
        count, errors = map(int, line.split())
        took = []
        used = process_time_ns()
        for number in range(count):
            fails = bool(errors) and number % errors == errors - 1
            started = perf_counter_ns()
            call(fails)
            took.append(perf_counter_ns() - started)
        print(
            json.dumps(
                {
                    "took": took,
                    "cpu": (process_time_ns() - used) / count,
                    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                }
            ),
            flush=True,
        )


class Application:
    """One application in a process of its own."""

    def __init__(self, framework: str, variant: str) -> None:
        command = [sys.executable, "-m", "bench.capture", "--serve", framework, variant]
        self._running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, count: int, errors: int) -> tuple[list[int], float, int]:
        """Latencies and processor time of a request in nanoseconds, and memory in kB."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{count} {errors}\n")
        self._running.stdin.flush()
        answer = json.loads(self._running.stdout.readline())
        return answer["took"], answer["cpu"], answer["memory"]

    def end(self) -> None:
        """Stop it, and wait for it."""
        self._running.communicate(timeout=60)


def measure(framework: str, requests: int, rounds: int) -> None:
    """Both variants of one application, taking turns."""
    pair = {variant: Application(framework, variant) for variant in ("without", "with")}
    for application in pair.values():
        application.run(requests, 0)
    for errors, said in ((0, "no errors"), (100, "1 % errors")):
        took: dict[str, list[list[int]]] = {"without": [], "with": []}
        cpu: dict[str, list[float]] = {"without": [], "with": []}
        memory = {}
        for turn in range(rounds):
            for variant in ("without", "with") if turn % 2 else ("with", "without"):
                latencies, used, memory[variant] = pair[variant].run(requests, errors)
                took[variant].append(latencies)
                cpu[variant].append(used)
        least = min(cpu["with"]) / min(cpu["without"]) - 1
        ratios = sorted(a / b - 1 for a, b in zip(cpu["with"], cpu["without"], strict=True))
        for variant in ("without", "with"):
            every = sorted(value for each in took[variant] for value in each)
            p50, p99 = every[len(every) // 2] / 1000, every[len(every) * 99 // 100] / 1000
            busy = statistics.median(cpu[variant]) / 1000
            print(f"{framework:8} {said:11} {variant:8} p50 {p50:8.1f} µs  p99 {p99:9.1f} µs  processor {busy:8.1f} µs  "
                  f"{memory[variant] / 1024:6.1f} MB", flush=True)  # fmt: skip
        print(f"{framework:8} {said:11} processor time with against without: least {least:+.2%}, "
              f"median {statistics.median(ratios):+.2%} "
              f"(half of the rounds {ratios[len(ratios) // 4]:+.2%} to {ratios[len(ratios) * 3 // 4]:+.2%})", flush=True)  # fmt: skip
    for application in pair.values():
        application.end()


def main() -> int:
    """Measure all frameworks that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--serve", nargs=2)
    given = parser.parse_args()
    if given.serve:
        serve(*given.serve)
        return 0
    for framework in FRAMEWORKS:
        measure(framework, given.requests, given.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
