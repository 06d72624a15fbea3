"""Metrics from a Prometheus server over its HTTP API: two questions, both by GET, both bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from fixloop.tools import NoSuch, Tool

PATIENCE = 10.0  # seconds
POINTS = 30  # of a series
SERIES = 20
_LONGEST = 1000  # characters of a query
_LARGEST = 4 << 20  # bytes of an answer


class Prometheus:
    """The server at one address, which the operator has named; a model cannot choose another."""

    name = "prometheus"

    def __init__(self, address: str = "http://127.0.0.1:9090") -> None:
        self._address = address.rstrip("/")

    def tools(self) -> Sequence[Tool]:
        """See `Drill`."""
        return [
            Tool("metric_range", "A PromQL query over a span of time.",
                 {"query": ("string", "PromQL"), "start": ("string", "ISO time with zone"),
                  "end": ("string", "ISO time with zone")}, self._range),
            Tool("metric_names", "The names of metrics that contain a text.",
                 {"contains": ("string", "a part of the name; empty: all")}, self._names),
        ]  # fmt: skip

    def _range(self, given: Mapping[str, Any]) -> str:
        start, end = _moment(given["start"]), _moment(given["end"])
        seconds = (end - start).total_seconds()
        if not 0 < seconds <= 7 * 86_400:
            raise NoSuch("the span has to end after it starts, and to be a week at most")
        if not 0 < len(given["query"]) <= _LONGEST:
            raise NoSuch(f"a query has 1 to {_LONGEST} characters")
        asked = {"query": given["query"], "start": start.timestamp(), "end": end.timestamp(),
                 "step": max(1.0, round(seconds / POINTS, 3)), "timeout": f"{PATIENCE:.0f}s"}  # fmt: skip
        found = self._get("/api/v1/query_range", asked)
        series = found.get("result", []) if isinstance(found, dict) else []
        rows = [_series(one) for one in series[:SERIES]]
        more = f"\n… {len(series) - SERIES} more series" if len(series) > SERIES else ""
        return (
            "\n".join(rows) + more
            if rows
            else "no series matches: no data, and no proof that nothing happened"
        )

    def _names(self, given: Mapping[str, Any]) -> str:
        found = self._get("/api/v1/label/__name__/values", {})
        names = (
            [str(name) for name in found if given["contains"].lower() in str(name).lower()] if found else []
        )
        return "\n".join(names[:100]) or "no metric has such a name"

    def _get(self, path: str, asked: Mapping[str, Any]) -> Any:
        try:
            answer = httpx.get(
                f"{self._address}{path}", params=dict(asked), timeout=PATIENCE, follow_redirects=False
            )
            told = answer.json() if len(answer.content) <= _LARGEST else {}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
            raise NoSuch(f"Prometheus gives no answer that can be read ({type(problem).__name__})") from None
        if not isinstance(told, dict) or told.get("status") != "success":
            said = str(told.get("error", answer.status_code))[:300] if isinstance(told, dict) else "no object"
            raise NoSuch(f"Prometheus refuses: {said}")
        return told.get("data")


def _moment(text: str) -> datetime:
    said = f"{text[:40]!r} is not an ISO time with a zone, such as 2026-01-31T10:00:00+00:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise NoSuch(said) from None
    if moment.tzinfo is None:
        raise NoSuch(said)
    return moment


def _series(one: Any) -> str:
    """One series in a line: its labels, and its points as time=value."""
    told = one if isinstance(one, dict) else {}
    labels = ",".join(f'{name}="{value}"' for name, value in (told.get("metric") or {}).items())
    points = [f"{float(at):.0f}={value}" for at, value in (told.get("values") or [])[: POINTS + 1]]
    return f"{{{labels}}} {' '.join(points)}"
