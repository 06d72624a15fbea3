"""The conversation with a model over a real socket: what it may do, how it ends, what is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from fixloop.agent.desk import Desk
from fixloop.agent.purse import Limits, Purse, Spent
from fixloop.agent.turns import Said, Talk, converse
from fixloop.models.anthropic import Anthropic
from fixloop.models.replay import Replay
from fixloop.models.scripted import Scripted
from fixloop.tools import NoSuch, Refused, Tool
from store.errors import BudgetSpent, Unavailable
from tests.contracts.nightdesk_contracts.messages_api import (
    Failure,
    Line,
    MessagesApi,
    Turn,
    call,
    calls,
    serving,
    stream_events,
    text,
)
from tests.contracts.nightdesk_contracts.messages_rules import faults

SECRET = "hunter2-hunter2"


def tools() -> list[Tool]:
    def look(given: object) -> str:
        return f"looked at {given}"

    def closed(given: object) -> str:
        raise Refused("secret_file", "it is closed")

    def empty(given: object) -> str:
        raise NoSuch("nothing there")

    what = {"what": ("string", "which"), "times": ("integer?", "how often")}
    return [
        Tool("look", "Look.", what, look),
        Tool("closed", "Closed.", {}, closed),
        Tool("empty", "Empty.", {}, empty),
    ]


@contextmanager
def desk(
    script: Sequence[Line], monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None
) -> Iterator[tuple[Desk, MessagesApi]]:
    with serving(script) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "scripted")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        made = Desk(
            Anthropic(),
            "claude-scripted",
            Purse(limits or Limits()),
            lambda said: said.replace(SECRET, "[secret]"),
        )
        yield made, api


def held(made: Desk, turns: int = 6, opening: str = f"what happened? {SECRET}") -> Said:
    return converse(made, Talk("analyst", "You look.", opening, tools(), None, turns))


def test_parallel_calls_are_answered_together_and_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    both = calls(call("look", what="a", times=None), call("look", what="b", times=2), call("empty"))
    with desk([both, text("seen")], monkeypatch) as (made, api):
        said = held(made)
        api.finish()
    assert (said.stop, said.text) == ("answered", "seen")
    results = api.requests[1]["messages"][-1]["content"]
    assert [result["content"][0]["text"][:9] for result in results] == ["looked at", "looked at", "nothing t"]
    assert [result.get("is_error") for result in results] == [None, None, True]
    assert [name for name, _ in said.observed] == [
        'look({"times": null, "what": "a"})',
        'look({"times": 2, "what": "b"})',
    ]


def test_what_is_sent_is_redacted_again_and_kept_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    with desk([text("yes")], monkeypatch) as (made, api):
        held(made)
    assert SECRET.encode() not in api.raw[0]
    assert b"[secret]" in api.raw[0]
    row = json.loads(made.transcript())
    assert row["sent"].encode() == api.raw[0]
    assert (row["role"], row["status"]) == ("analyst", 200)


def test_the_beginning_of_a_conversation_is_marked_for_the_cache_and_cheaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = Turn(
        ({"type": "text", "text": "yes"},),
        usage={"input_tokens": 10, "output_tokens": 10, "cache_read_input_tokens": 1000},
    )
    with desk([cached], monkeypatch, Limits(price_in=10, price_out=10)) as (made, api):
        held(made)
    body = api.requests[0]
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert made.purse.used.tokens == 1020
    assert made.purse.used.money == pytest.approx((10 + 100 + 10) * 10 / 1e6)


def test_a_tool_that_there_is_not_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [calls(call("shell", command="id"), call("closed")), text("ok")]
    with desk(script, monkeypatch) as (made, api):
        held(made)
        api.finish()
    assert made.refused == ['no_such_tool: shell({"command": "id"})', "secret_file: closed({}): it is closed"]


@pytest.mark.parametrize(
    "arguments", [{}, {"what": 3}, {"what": "a", "how": "b"}, {"what": "a", "times": True}], ids=str
)
def test_a_malformed_call_is_said_and_not_run(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object]
) -> None:
    with desk([calls(call("look", **arguments)), text("ok")], monkeypatch) as (made, api):
        said = held(made)
        api.finish()
    assert said.observed == []
    assert made.refused[0].startswith("malformed_call: look")


def test_calls_that_share_an_id_end_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = {**call("look", what="a"), "id": "toolu_same"}
    with desk([calls(twice, twice)], monkeypatch) as (made, api):
        assert held(made).stop == "malformed"
        api.finish()


def test_a_model_that_never_stops_is_stopped_by_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    script: list[Line] = [calls(call("look", what=str(number))) for number in range(4)]
    with desk(script, monkeypatch) as (made, api):
        said = held(made, turns=4)
        api.finish()
    assert said.stop == "turns"
    assert len(said.observed) == 4


def test_a_model_that_repeats_itself_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    script: list[Line] = [calls(call("look", what="a")) for _ in range(4)]
    with desk(script, monkeypatch) as (made, api):
        said = held(made, turns=9)
        api.finish()
    assert said.stop == "stuck"
    assert len(said.observed) == 1
    assert "asked this already (call 1)" in json.dumps(api.requests[-1])


def test_an_answer_that_was_cut_is_asked_for_again_and_its_call_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = Turn((call("look", what="a"),), "max_tokens")
    with desk([cut, text("short")], monkeypatch) as (made, api):
        said = held(made)
        api.finish()
    assert (said.stop, said.text, said.observed) == ("answered", "short", [])
    assert "fewer words" in json.dumps(api.requests[1]["messages"])


def test_answers_that_are_cut_again_and_again_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script: list[Line] = [text("…", "max_tokens") for _ in range(3)]
    with desk(script, monkeypatch) as (made, api):
        assert held(made).stop == "cut"
        api.finish()


def test_a_refusal_is_an_end_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Turn((), "refusal", stop_details={"type": "refusal", "category": "cyber"})
    with desk([refusal], monkeypatch) as (made, api):
        said = held(made)
        api.finish()
    assert (said.stop, said.text) == ("refused", "")


def test_a_pause_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API refuses what ends with the assistant's words, so a pause whose words are none is an end."""
    with desk([Turn((), "pause_turn")], monkeypatch) as (made, api):
        assert held(made).stop == "turns"
        api.finish()


@pytest.mark.parametrize("status", [429, 529])
def test_a_short_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with desk([Failure(status, "rate_limit_error", "slow", "0"), text("yes")], monkeypatch) as (made, api):
        assert held(made).text == "yes"
        api.finish()
    assert [each.status for _, each in made.exchanges] == [status, 200]


@pytest.mark.parametrize("status", [429, 529])
def test_a_huge_wait_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with desk([Failure(status, "rate_limit_error", "slow", "3600")], monkeypatch) as (made, api):
        with pytest.raises(Unavailable, match="asks to wait 3600 s, which is not waited for"):
            held(made)
        api.finish()


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_what_will_not_get_better_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with desk([Failure(status, "some_error", "no")], monkeypatch) as (made, api):
        with pytest.raises(Unavailable, match=f"answers {status}: some_error: no"):
            held(made)
        api.finish()
    assert made.purse.used.tokens == 0


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(tokens=100), "model_tokens"), (Limits(money=0.001), "model_money"), (Limits(requests=0), "model_requests"),
        (Limits(minutes=0.0), "model_minutes"), (Limits(day_tokens=10), "model_day_tokens"),
        (Limits(day_money=0.0), "model_day_money"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_limit_ends_it_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, name: str
) -> None:
    with desk([], monkeypatch, limits) as (made, api):
        with pytest.raises(BudgetSpent, match=name):
            held(made)
        assert api.requests == []


def test_what_other_repairs_used_today_counts() -> None:
    purse = Purse(Limits(day_tokens=1000), today=Spent(tokens=990))
    with pytest.raises(BudgetSpent, match="model_day_tokens"):
        purse.check(300, 0)


def test_an_answer_that_says_nothing_of_its_cost_is_counted_as_dear_as_can_be() -> None:
    purse = Purse(Limits(price_in=1, price_out=1))
    purse.charge(None, 3000, 500, 1.0)
    assert purse.used.tokens == 1500


def test_a_recorded_session_is_replayed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with desk([calls(call("look", what="a")), text("seen")], monkeypatch) as (made, _):
        first = held(made)
    again = Desk(Replay([each for _, each in made.exchanges]), "claude-scripted", clean=made.clean)
    assert held(again).messages == first.messages
    with pytest.raises(Unavailable, match="not in the transcript"):
        held(again, opening="something else")


def test_a_script_that_has_ended_is_said() -> None:
    scripted = Scripted([{"content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"}])
    made = Desk(scripted, "any")
    assert held(made).text == "yes"
    assert scripted.left == 0
    with pytest.raises(Unavailable, match="has ended"):
        held(made)


GOOD = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
ASKED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]}
TOOL = {"name": "look", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0}, "no longer supported"), ({"surprise": 1}, "Extra inputs"), ({"max_tokens": 0}, "positive"),
        ({"max_tokens": 30_000}, "streaming is required"), ({"messages": []}, "at least one"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({"messages": [*GOOD["messages"], {"role": "assistant", "content": "so"}]}, "prefilling"),  # type: ignore[misc]
        ({"tools": [TOOL, TOOL]}, "unique"), ({"tools": [{**TOOL, "strict": True}]}, "additionalProperties"),
        ({"tools": [TOOL], "messages": [*GOOD["messages"], ASKED, {"role": "user", "content": "?"}]}, "without a `tool_result`"),  # type: ignore[misc]
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9"}]}]}, "unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_stand_in_refuses_what_the_api_refuses(change: dict[str, object], said: str) -> None:
    assert list(faults(GOOD)) == []
    assert any(said in fault for fault in faults({**GOOD, **change}))


def test_the_stand_in_streams_in_the_order_of_the_api_and_arguments_in_pieces() -> None:
    message = {
        "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}],
        "stop_reason": "tool_use",
        "usage": {},
    }
    kinds = [event["type"] for event in stream_events(message)]
    assert kinds == ["message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta",
                     "content_block_stop", "message_delta", "message_stop"]  # fmt: skip
