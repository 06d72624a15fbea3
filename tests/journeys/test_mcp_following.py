"""What an assistant comes back for: the next page, a trace it wants kept, a run it follows, news of an incident."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp import Client

from server.house import House
from server.mcp import desk, updates
from server.mcp.cursors import FOREIGN
from server.mcp.tools import make_server
from server.work import detached
from server.work.detached import Started
from store import journal, news, queries
from store.event import Breadcrumb
from store.incident import Status, Step
from store.repair import Ended, Submission, Validation, ValidationVerdict
from tests.journeys import mcp_samples as samples
from tests.journeys.mcp_client import TRACE, answer, connect, keep, refusal

pytestmark = pytest.mark.anyio
OTHER = TRACE.replace("quote", "charge").replace("KeyError", "TypeError")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# --- cursors --------------------------------------------------------------------------------------


async def test_a_cursor_is_good_for_the_question_it_was_given_for_and_no_other(house: House) -> None:
    for number in range(4):
        keep(house, samples.event(number, client_fingerprint=(f"g{number}",)))
    async with connect(house) as client:
        first = json.loads(await answer(client, "list_incidents", lane="all", limit=2))
        cursor = first["next_cursor"]
        rest = json.loads(await answer(client, "list_incidents", lane="all", limit=1, cursor=cursor))
        assert len(rest["incidents"]) == 1
        for other in (
            {"lane": "focus"},
            {"lane": "all", "query": "KeyError"},
            {"lane": "all", "since": "7d"},
        ):
            assert await refusal(client, "list_incidents", cursor=cursor, **other) == FOREIGN
        for broken in ("INC-3", cursor[:-1] + "g", "INC-9999." + "0" * 12):
            assert await refusal(client, "list_incidents", lane="all", cursor=broken) == FOREIGN


async def test_a_reader_of_evidence_goes_on_in_the_same_event_while_new_ones_come_in(house: House) -> None:
    ref = keep(house, samples.large_event(1))
    async with connect(house) as client:
        page = await answer(client, "get_evidence", id=ref, kind="locals")
        cursor = page.rpartition('cursor="')[2].partition('"')[0]
        second = await answer(client, "get_evidence", id=ref, kind="locals", cursor=cursor)
        keep(house, samples.large_event(2).model_copy(update={"tags": {"newer": "yes"}}))
        again = await answer(client, "get_evidence", id=ref, kind="locals", cursor=cursor)
        assert second.splitlines()[-1] == again.splitlines()[-1]
        for kind in ("stack", "breadcrumbs"):
            assert await refusal(client, "get_evidence", id=ref, kind=kind, cursor=cursor) == FOREIGN


# --- traces ---------------------------------------------------------------------------------------


async def test_an_unknown_trace_is_kept_only_by_the_tool_that_writes_and_once(house: House) -> None:
    async with connect(house) as client:
        shown = await answer(client, "get_incident", ref=OTHER)
        assert 'set_state(the same trace, "kept")' in shown
        assert queries.incidents(house.database) == []
        kept = json.loads(await answer(client, "set_state", id=OTHER, state="kept"))
        again = json.loads(await answer(client, "set_state", id=OTHER, state="kept"))
        assert (kept["kept"], again["kept"], again["id"]) == (True, False, kept["id"])
        assert (await answer(client, "get_incident", ref=OTHER)).startswith(f"# {kept['id']}\n")
        assert "stack trace" in await refusal(client, "set_state", id="x" * 60, state="kept")
    (event,) = queries.events(house.database, kept["id"])
    assert event.tags["pasted_by"] == "assistant"
    assert queries.incident(house.database, kept["id"]).event_count == 1


# --- one incident ---------------------------------------------------------------------------------


async def test_the_way_to_the_failure_has_its_span_calls_and_what_the_user_met_before(house: House) -> None:
    user = {"id": "u1"}
    keep(house, samples.event(1, client_fingerprint=("earlier",), user=user, transaction="/basket"))
    crumbs = (Breadcrumb(category="httplib", message="GET https://rates.example"),)
    span = {"trace": {"op": "http.server", "status": "internal_error", "span_id": "ab"}}
    late = {"timestamp": samples.NOON + timedelta(minutes=20)}
    ref = keep(house, samples.event(2, user=user, breadcrumbs=crumbs, contexts=span, **late))
    keep(house, samples.event(3, client_fingerprint=("another",), user={"id": "u2"}))
    async with connect(house) as client:
        text = await answer(client, "get_incident", ref=ref)
        whole = await answer(client, "get_evidence", id=ref, kind="path")
    for said in (text, whole):
        assert "span: op http.server, status internal_error, span_id ab" in said
        assert "the same user: /basket INC-1" in said
        assert "httplib: GET https://rates.example" in said
        assert "INC-3" not in said


async def test_earlier_investigations_and_who_did_what_can_be_read(house: House) -> None:
    ref = keep(house, samples.event(1))
    first = samples.attempt_with(house, ref, "it was the cache", proven=False)
    samples.attempt_with(house, ref, "a rate was renamed")
    async with connect(house, by="night shift") as client:
        await answer(client, "set_state", id=ref, state="claimed")
        text = await answer(client, "get_incident", ref=ref)
        told = await answer(client, "get_evidence", id=ref, kind="investigations")
    assert f"**Earlier investigations:** {first.id} (" in text
    assert "needs decision" in text
    assert "night shift" in text
    for part in (
        f"{first.id} ",
        "it was the cache",
        f"{ref}-2 ",
        "template patch of shop/rates.py: failed suite",
    ):
        assert part in told
    assert "night shift claimed_by: null → night shift" in told
    assert "From our own log, investigations" in told


async def test_every_quotation_says_who_wrote_it(house: House) -> None:
    ref = keep(house, samples.event(1, release="a b"))
    samples.attempt_with(house, ref, "words of somebody")
    async with connect(house) as client:
        text = await answer(client, "get_incident", ref=ref)
    for source, line in (
        ("event", "What broke"),
        ("event", "Who is"),
        ("run", "Why"),
        ("repository", "Change"),
    ):
        (said,) = [each for each in text.splitlines() if each.startswith(f"- **{line}")]
        assert f" {source}| " in said
    assert "From the event, stack" in text


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def at_work(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """An incident whose repair is asked for and never begins."""
    ref = keep(house, samples.event(1))

    def started(house: House, incident_id: str) -> Started:
        last = queries.latest_attempt(house.database, incident_id)
        if last is not None and last.ended is None:
            return Started(last.id, False)
        return Started(journal.start_attempt(house.database, incident_id).id, True)

    monkeypatch.setattr(detached, "start_repair", started)
    return ref


async def test_a_repair_asked_for_twice_is_one_run_with_one_remark(house: House, at_work: str) -> None:
    async with connect(house) as client:
        told = [
            json.loads(
                await answer(client, "start_repair", id=at_work, hypothesis="the cache", hint="warm it")
            )
            for _ in range(2)
        ]
    assert [(each["run"], each["started"]) for each in told] == [("INC-1-1", True), ("INC-1-1", False)]
    attempt = queries.attempt(house.database, "INC-1-1")
    assert attempt is not None
    assert [step.said for step in attempt.steps] == ["assistant gave: hypothesis, hint"]


async def test_a_hypothesis_of_the_run_before_is_picked_by_its_id(house: House, at_work: str) -> None:
    samples.attempt_with(house, at_work, "a rate was renamed", proven=False)
    async with connect(house) as client:
        assert "no hypothesis of this id" in await refusal(
            client, "start_repair", id=at_work, hypothesis="H7"
        )
        told = json.loads(await answer(client, "start_repair", id=at_work, hypothesis="h1"))
    attempt = queries.attempt(house.database, told["run"])
    assert attempt is not None
    assert attempt.steps[0].details["hypothesis"] == "H1: a rate was renamed"


async def test_a_proven_fix_is_named_instead_of_a_new_run_unless_something_new_is_said(
    house: House, at_work: str
) -> None:
    samples.attempt_with(house, at_work, "x")
    async with connect(house) as client:
        told = json.loads(await answer(client, "start_repair", id=at_work))
        assert (told["run"], told["started"], told["ended"]) == ("INC-1-1", False, "proven")
        again = json.loads(await answer(client, "start_repair", id=at_work, hint="look at the cache"))
    assert (again["run"], again["started"]) == ("INC-1-2", True)


async def test_who_asks_for_progress_is_told_the_names_of_the_steps_that_land(
    house: House, at_work: str
) -> None:
    told: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, message))
        if len(told) == 1:
            await anyio.to_thread.run_sync(end)

    def end() -> None:
        attempt = queries.attempt(house.database, "INC-1-1")
        assert attempt is not None
        journal.keep_attempt(house.database, attempt.model_copy(update={"ended": Ended.UNDETERMINED}))

    async with Client(make_server(lambda: house), mode="legacy") as client:
        with anyio.fail_after(30):
            asked = {"id": at_work, "hint": "CANARY"}
            result = await client.call_tool("start_repair", asked, progress_callback=progress)
    assert not result.is_error
    assert told == [(1, "INC-1-1: remark")]


async def test_a_judgement_that_takes_long_gives_signs_of_life(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x", proven=False)
    told = anyio.Event()
    heard: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message)
        told.set()

    def judged(*args: object) -> Submission:
        anyio.from_thread.run(told.wait)
        lint = {"ruff": "F401 unused import"}
        return samples.submission(ref, Validation(verdict=ValidationVerdict.FAILED, rule="lint", lint=lint))

    monkeypatch.setattr(desk, "BEAT", 0.05)
    monkeypatch.setattr(detached, "judged", judged)
    async with connect(house) as client:
        with anyio.fail_after(30):
            asked = {"id": ref, "diff": samples.DIFF}
            result = await client.call_tool("submit_patch", asked, progress_callback=progress)
    assert heard[0] == "The judge runs the patch: 0 s so far"
    assert result.structured_content is not None
    assert "F401 unused import" in result.structured_content["lint"]


@pytest.mark.parametrize("length", [1_000_001, 10_000_000])
async def test_a_patch_that_is_far_too_large_is_refused_in_our_words(house: House, length: int) -> None:
    ref = keep(house, samples.event(1))
    async with connect(house) as client:
        said = await refusal(client, "submit_patch", id=ref, diff="+" * length)
        assert said == "The patch is larger than 1,000,000 characters: send only what puts the cause right."
        assert "is empty" in await refusal(client, "submit_patch", id=ref, diff=" \n")


async def test_a_patch_that_does_not_fit_is_refused_in_our_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x", proven=False)

    def judged(*args: object) -> Submission:
        return samples.submission(ref, said="The patch is no unified diff.")

    monkeypatch.setattr(detached, "judged", judged)
    async with connect(house) as client:
        assert await refusal(client, "submit_patch", id=ref, diff="x") == "The patch is no unified diff."
        assert "no repository of this name" in await refusal(
            client, "submit_patch", id=ref, diff=samples.DIFF, repo="nobody"
        )


# --- news -----------------------------------------------------------------------------------------


async def test_who_listens_to_an_incident_is_told_of_changes_that_another_process_makes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "LOOK", 0.05)
    looked = threading.Event()

    def changed(*args: Any) -> Any:
        found = look(*args)
        looked.set()
        return found

    look = news.changed
    monkeypatch.setattr(news, "changed", changed)
    ref, other = keep(house, samples.event(1)), keep(house, samples.event(2, client_fingerprint=("b",)))
    async with connect(house) as client:
        with anyio.fail_after(30):
            async with client.listen(resource_subscriptions=[f"incident://{ref}"]) as stream:
                assert await anyio.to_thread.run_sync(looked.wait, 20)
                journal.note_step(
                    house.database,
                    journal.start_attempt(house.database, other).id,
                    Step(name="a", started_at=samples.NOON, took=0, said="s"),
                )
                journal.set_status(house.database, ref, Status.MUTED, "ann", "")
                told = await anext(aiter(stream))
    assert f"incident://{ref}" in repr(told)


async def test_what_is_in_focus_is_listed_without_a_word_of_the_event(house: House) -> None:
    ref = keep(house, samples.event(1, transaction="CANARY"))
    async with connect(house) as client:
        listed: list[Any] = list((await client.list_resources()).resources)
    assert [each.uri for each in listed] == [f"incident://{ref}"]
    assert "KeyError" not in listed[0].model_dump_json()
