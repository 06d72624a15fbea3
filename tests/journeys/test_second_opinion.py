"""A model's word beside triage, through the strict stand-in of the Messages API: it can raise a lane and never lower it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from nightdesk_contracts.messages_api import Failure, MessagesApi, serving, text

from server.cli.transcript import _rows as exchanges
from server.house import House
from server.repairs.models import spent_today
from server.repairs.opinions import triaged
from store import queries
from store.event import Event, ExceptionValue, Frame
from store.incident import Lane
from store.spending import artifacts_referred_to

KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def answer(lane: str, *quotes: str, summary: str = "The export ended early for its reader.") -> Any:
    said = {"summary": summary, "lane": lane, "because": "the ledger is half written", "quotes": list(quotes)}
    return text(json.dumps(said))


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serve a script, and have the product ask it."""
    open_now: list[Any] = []

    def serve(*script: Any) -> MessagesApi:
        context = serving(script)
        api = context.__enter__()
        open_now.append(context)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        return api

    yield serve
    for context in open_now:
        context.__exit__(None, None, None)


def reported(house: House, kind: str, value: str, line: str, *, handled: bool = False) -> str:
    frame = Frame(filename="shop/ledger.py", abs_path="/app/shop/ledger.py", lineno=7, function="export",
                  context_line=line, in_app=True, module="shop.ledger")  # fmt: skip
    now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    raised = ExceptionValue(type=kind, value=value, handled=handled, frames=(frame,))
    event = Event(event_id=kind.lower().ljust(32, "0"), project="default", received_at=now, timestamp=now,
                  platform="python", exceptions=(raised,))  # fmt: skip
    (kept,) = house.keep([event])
    return kept.incident_id


def test_an_opinion_with_a_quotation_that_holds_raises_the_lane_and_the_verdict_stays(house, asking) -> None:
    name = reported(house, "BrokenPipeError", f"[Errno 32] Broken pipe {KEY}", "out.write(row)")
    api = asking(answer("focus", "[Errno 32] Broken pipe"))
    done = triaged(house, name)
    assert (done.lane, done.verdict.signal) == (Lane.FOCUS, False)
    assert "second opinion raised it from noise" in done.why
    assert done.steps[-1].said.startswith("A model's summary: The export ended early")
    assert queries.incident(house.database, name).lane is Lane.FOCUS
    assert spent_today(house).requests == 0 < spent_today(house).tokens
    assert len(artifacts_referred_to(house.database)) == 1
    (sent,) = exchanges(house, name)
    assert KEY not in sent["sent"]
    api.finish()


@pytest.mark.parametrize(("lane", "quotes"), [("noise", ("KeyError",)), ("backlog", ()), ("focus", ())])
def test_a_lane_is_never_lowered_whatever_the_model_says(house, asking, lane, quotes) -> None:
    name = reported(house, "KeyError", "'price'", "total += item['price']")
    asking(answer(lane, *quotes))
    done = triaged(house, name)
    assert done.lane is Lane.FOCUS
    assert done.facts["opinion"]["lane"] == lane


def test_a_quotation_that_stands_nowhere_raises_nothing_and_is_named(house, asking) -> None:
    name = reported(house, "KeyboardInterrupt", "", "time.sleep(1)")
    asking(answer("focus", "the database was dropped"))
    done = triaged(house, name)
    assert done.lane is Lane.NOISE
    assert "no quotation of it holds" in done.steps[-1].said
    assert "citation" in done.steps[-1].details["model"]["refused"][0]


def test_the_same_question_is_asked_once_and_its_answer_holds(house, asking) -> None:
    name = reported(house, "BrokenPipeError", "[Errno 32] Broken pipe", "out.write(row)")
    api = asking(answer("backlog", "[Errno 32] Broken pipe"))
    first, second = triaged(house, name), triaged(house, name)
    assert first.lane is second.lane is Lane.BACKLOG
    assert second.steps[-1] == first.steps[-1]
    api.finish()


@pytest.mark.parametrize(
    "said", [text("I would rather not say"), Failure(400, "invalid_request_error", "no")]
)
def test_what_goes_wrong_with_the_model_leaves_the_triage_as_it_is(house, asking, said) -> None:
    name = reported(house, "KeyError", "'price'", "total += item['price']")
    asking(said)
    done = triaged(house, name)
    assert done.lane is Lane.FOCUS
    assert "opinion" not in done.facts
    assert done.steps[-1].name == "opinion"


def test_without_a_key_or_switched_off_nobody_is_asked(house) -> None:
    name = reported(house, "KeyError", "'price'", "total += item['price']")
    assert [step.name for step in triaged(house, name, environ={}).steps][-1] == "prioritise"
    house.config = house.config.model_copy(update={"model_triage": False})
    assert triaged(house, name, environ={"ANTHROPIC_API_KEY": "k"}).steps[-1].name == "prioritise"
