"""Anthropic's Messages API, or whatever speaks it at ANTHROPIC_BASE_URL.

Tries are counted and waited for here and not by the client, whose waits know no bound.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic, perf_counter
from typing import Any

import anyio
import httpx2
from anthropic import APIStatusError, AsyncAnthropic

from fixloop.models import Exchange, Record
from fixloop.stopping import current
from store.errors import Unavailable

TRIES = 3
LONGEST_WAIT = 20.0  # seconds between two tries; who asks for more is not waited for
_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_LARGEST = 8 << 20  # bytes of an answer


class Anthropic:
    """The model of the key in the environment."""

    name = "anthropic"

    def ask(self, body: Mapping[str, Any], *, seconds: float, record: Record) -> dict[str, Any]:
        """See `Model`."""
        ends = monotonic() + seconds
        for number in range(1, TRIES + 1):
            current()
            exchange, wait = self._once(body, max(1.0, ends - monotonic()))
            record(exchange)
            if exchange.status == 200:
                return _message(exchange)
            if exchange.status is not None and exchange.status not in _AGAIN:
                raise Unavailable(_said(exchange))
            pause = wait if wait is not None else min(LONGEST_WAIT, 0.5 * 2**number)
            if number == TRIES or pause > LONGEST_WAIT or monotonic() + pause >= ends:
                asked = f"; it asks to wait {pause:.0f} s, which is not waited for" if wait else ""
                raise Unavailable(_said(exchange) + asked, retry=True)
            threading.Event().wait(pause)
        raise AssertionError  # the last try has raised

    def _once(self, body: Mapping[str, Any], seconds: float) -> tuple[Exchange, float | None]:
        """One try, and how many seconds the answer asks to wait."""
        at, clock = datetime.now(UTC), perf_counter()
        kept: dict[str, Any] = {"sent": b"", "status": None, "received": b"", "wait": None}
        try:
            anyio.run(_send, body, seconds, kept)
        except Exception as error:  # whatever keeps an answer from coming is one and the same: there is none
            kept["received"] = kept["received"] or f"{type(error).__name__}: {error}"[:500].encode()
        exchange = Exchange(at, kept["sent"], kept["status"], kept["received"], perf_counter() - clock)
        return exchange, kept["wait"]


async def _send(body: Mapping[str, Any], seconds: float, kept: dict[str, Any]) -> None:
    async def goes(request: httpx2.Request) -> None:
        kept["sent"] = request.content

    hooks: dict[str, list[Callable[..., Any]]] = {"request": [goes]}
    with anyio.fail_after(seconds):
        async with (
            httpx2.AsyncClient(event_hooks=hooks, timeout=seconds) as http,
            AsyncAnthropic(
                api_key=os.environ.get("ANTHROPIC_API_KEY"), base_url=os.environ.get("ANTHROPIC_BASE_URL") or None,
                http_client=http, max_retries=0, timeout=seconds,
            ) as client,
        ):  # fmt: skip
            try:
                async with client.messages.with_streaming_response.create(**body) as answer:
                    async for piece in answer.iter_bytes():
                        kept["received"] += piece
                        if len(kept["received"]) > _LARGEST:
                            raise ValueError("the answer is larger than any that is read")
                    kept["status"] = answer.status_code
            except APIStatusError as error:
                kept["status"], kept["received"] = error.status_code, error.response.content
                kept["wait"] = _seconds(error.response.headers.get("retry-after"))


def _seconds(told: str | None) -> float | None:
    try:
        return max(0.0, float(told)) if told else None
    except ValueError:
        return None


def _message(exchange: Exchange) -> dict[str, Any]:
    try:
        message = json.loads(exchange.received)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise Unavailable(
            "The model's answer is not a message of the Messages API; look at ANTHROPIC_BASE_URL."
        )
    return message


def _said(exchange: Exchange) -> str:
    if exchange.status is None:
        why = exchange.received.decode("utf-8", "replace").partition(":")[0]
        return f"The model does not answer ({why or 'nothing came'})"
    try:
        error = json.loads(exchange.received).get("error", {})
        why = f": {error.get('type')}: {str(error.get('message'))[:160]}" if isinstance(error, dict) else ""
    except (ValueError, AttributeError):
        why = ""
    return f"The model's API answers {exchange.status}{why}"
