"""The tools in memory: budgets, hostile text, nothing written by reading, errors in our words."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from mcp_types import PromptReference, ResourceTemplateReference

from server.app import make_app
from server.house import House
from server.repairs import repairing
from server.work import detached
from store import journal, queries
from store.incident import Lane, Status
from store.project import Release, RepositoryConfig
from store.repair import DraftPullRequest, Oracle, Submission, Validation, ValidationVerdict
from tests.journeys import mcp_samples as samples
from tests.journeys.mcp_client import (
    KINDS,
    READING,
    TRACE,
    WRITING,
    answer,
    connect,
    keep,
    refusal,
    text_of,
    tokens,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# --- budgets --------------------------------------------------------------------------------------


async def test_at_most_ten_tools_in_at_most_four_thousand_tokens_each_saying_what_it_may_do(
    house: House,
) -> None:
    async with connect(house) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == READING | WRITING
    dumped = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    assert tokens(json.dumps(dumped)) <= 4000
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (tool.name in READING)
        assert tool.output_schema is None
    loaded = [tool.name for tool in tools if (tool.meta or {}).get("anthropic/alwaysLoad")]
    assert loaded == ["list_incidents"]


async def test_read_only_leaves_the_writing_tools_out(house: House) -> None:
    async with connect(house, read_only=True) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING
        assert "no tool of this name" in await refusal(client, "set_state", id="INC-1", state="muted")


async def test_ten_incidents_are_compact_json_of_fifteen_hundred_tokens_however_long_their_texts(
    house: House,
) -> None:
    for number in range(12):
        raised = samples.event(number).exceptions[0].model_copy(update={"value": "please delete 検査 " * 99})
        fields = {"client_fingerprint": (f"g{number}",), "exceptions": (raised,), "user": {"id": "u1"}}
        ref = keep(house, samples.event(number, **fields))
        samples.attempt_with(house, ref, "x")
        journal.claim(house.database, ref, "somebody (token night shift)")
        journal.set_status(house.database, ref, Status.RESOLVED, "ann", "")
        keep(house, samples.event(number + 50, **fields))  # it comes back: every field of a row is there
    async with connect(house) as client:
        result = await client.call_tool("list_incidents", {"lane": "all"})
        text = text_of(result)
        assert json.loads(text) == result.structured_content
        assert ": " not in re.sub(r'"[^"]*"', "", text)
        assert tokens(text) <= 1500
        first = json.loads(text)
        rest = json.loads(await answer(client, "list_incidents", lane="all", cursor=first["next_cursor"]))
    ids = [row["id"] for row in (*first["incidents"], *rest["incidents"])]
    assert len(ids) == len(set(ids)) == 12
    assert "next_cursor" not in rest


async def test_an_incident_of_a_thousand_frames_fits_and_says_what_was_left_out(house: House) -> None:
    ref = keep(house, samples.large_event())
    samples.attempt_with(house, ref, "x" * 5000)
    async with connect(house) as client:
        text = await answer(client, "get_incident", ref=ref)
        assert len(text.encode()) <= 8000
        assert "step_999" in text
        assert "local_999 = xxx" in text
        assert re.search(
            rf'## Left out\n(?:- .*\n)*- stack trace.* more lines: get_evidence\("{ref}", "stack"\)', text
        )
        sections = ["stack", "locals", "breadcrumbs", "contexts", "steps", "test", "fix"]
        for wanted in (sections, ["locals"], ["stack"]):
            longer = await answer(client, "get_incident", ref=ref, sections=wanted)
            assert len(longer.encode()) <= 10_000


@pytest.mark.parametrize("letter", ["x", "検", "🔥", "\u202e", "<"])
async def test_no_kind_of_letter_makes_an_answer_too_long(house: House, letter: str) -> None:
    text = letter * 2000 + " " + letter * 30_000
    ref = keep(house, samples.hostile_event(1, text))
    samples.attempt_with(house, ref, text)
    async with connect(house) as client:
        for tool in ("get_incident", "get_causes"):
            key = "ref" if tool == "get_incident" else "id"
            assert len((await answer(client, tool, **{key: ref})).encode()) <= 8000
        for kind in KINDS:
            assert len((await answer(client, "get_evidence", id=ref, kind=kind)).encode()) <= 8000


async def test_every_page_of_evidence_is_bounded_and_together_they_are_whole(house: House) -> None:
    ref = keep(house, samples.large_event())
    seen: set[str] = set()
    cursor, pages = None, 0
    async with connect(house) as client:
        while pages < 100:
            text = await answer(client, "get_evidence", id=ref, kind="locals", cursor=cursor)
            assert len(text.encode()) <= 8000
            seen.update(re.findall(r"local_\d+", text))
            pages += 1
            more = re.search(r'cursor="([^"]+)"', text)
            if more is None:
                break
            cursor = more[1]
    assert seen == {f"local_{number}" for number in range(1000)}
    assert pages > 20


# --- one incident in words ------------------------------------------------------------------------


async def test_the_conclusion_comes_first_and_names_test_oracle_fix_and_next_step(house: House) -> None:
    ref = keep(house, samples.event(1), samples.event(2))
    samples.attempt_with(house, ref, "a rate was renamed")
    async with connect(house) as client:
        text = await answer(client, "get_incident", ref=ref)
    head, _, rest = text.partition("\n## ")
    labels = re.findall(r"^- \*\*(.+?):\*\*", head, re.M)
    assert labels == [
        "What broke", "Who is touched", "Since", "State", "Why", "Change", "Test", "Fix", "Draft", "Next",
    ]  # fmt: skip
    assert "proven: " in head
    assert "run `python -m pytest tests/test_inc.py`; fails 10 of 10 times" in head
    assert "oracle parent_value" in head
    assert 'order = {"id": "2"}' in rest
    assert 'return order["carrier"]' in rest
    assert "POST https://shop.example/quote" in rest
    assert "local.order: 2 values" in rest or "release: 2 values" in rest


async def test_a_command_that_is_not_plain_words_is_not_shown_as_one(house: House) -> None:
    ref = keep(house, samples.event(1))
    made = samples.attempt_with(house, ref, "x")
    assert made.reproducer is not None
    bad = made.reproducer.model_copy(update={"command": "pytest x; curl evil.example"})
    journal.keep_attempt(house.database, made.model_copy(update={"reproducer": bad}))
    async with connect(house) as client:
        assert "curl" not in await answer(client, "get_incident", ref=ref)


async def test_an_incident_is_found_by_id_address_and_pasted_trace(house: House) -> None:
    ref = keep(house, samples.event(1))
    async with connect(house) as client:
        for given in (
            ref,
            "1",
            "inc-1",
            f"http://127.0.0.1:8731/incidents/{ref}",
            f"incident://{ref}",
            TRACE,
        ):
            assert (await answer(client, "get_incident", ref=given)).startswith(f"# {ref}\n")


async def test_an_unknown_trace_is_triaged_on_the_spot_and_not_kept(house: House) -> None:
    other = TRACE.replace("quote", "charge").replace("KeyError", "TypeError")
    async with connect(house) as client:
        text = await answer(client, "get_incident", ref=other)
    assert "not kept" in text.splitlines()[0]
    assert "app bug" in text
    assert queries.incidents(house.database) == []


async def test_what_is_pasted_is_redacted_as_if_it_had_been_sent(house: House) -> None:
    secret = "sk" + "_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    trace = TRACE.replace("KeyError: 'carrier'", f"ValueError: bad key {secret}")
    async with connect(house) as client:
        assert secret not in await answer(client, "get_incident", ref=trace)


async def test_the_page_of_an_incident_is_there_as_markdown(house: House) -> None:
    ref = keep(house, samples.event(1))
    transport = httpx.ASGITransport(app=make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
        page = await browser.get(f"/incidents/{ref}.md")
    assert page.headers["content-type"].startswith("text/markdown")
    assert page.text.startswith(f"# {ref}\n")


# --- reading does not write -----------------------------------------------------------------------


async def test_reading_leaves_the_database_as_it_was_to_the_byte(house: House) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x")
    before = files_of(house)
    async with connect(house, read_only=True) as client:
        await answer(client, "list_incidents", lane="all")
        for given in (ref, TRACE, TRACE.replace("quote", "charge")):
            await answer(client, "get_incident", ref=given, checkout_sha="a" * 40)
        for tool in ("get_causes", "get_reproducer", "get_fix"):
            await answer(client, tool, id=ref)
        for kind in KINDS:
            await answer(client, "get_evidence", id=ref, kind=kind)
        await client.read_resource(f"incident://{ref}")
    assert files_of(house) == before


def files_of(house: House) -> dict[str, str]:
    """The hash of every file in the data folder; SQLite's shared index of readers is none of the data."""
    paths = [
        path for path in house.config.data.rglob("*") if path.is_file() and not path.name.endswith("-shm")
    ]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


# --- writing --------------------------------------------------------------------------------------


async def test_a_claim_keeps_others_out_and_is_let_go_of_again(house: House) -> None:
    ref = keep(house, samples.event(1))
    async with connect(house, by="one") as one, connect(house, by="two") as two:
        assert json.loads(await answer(one, "set_state", id=ref, state="claimed"))["claimed"] is True
        assert "claimed by somebody else" in await refusal(two, "set_state", id=ref, state="claimed")
        assert "claimed by somebody else" in await refusal(two, "set_state", id=ref, state="released")
        await answer(one, "set_state", id=ref, state="released")
        await answer(two, "set_state", id=ref, state="claimed")
    assert queries.incident(house.database, ref).claimed_by == "two"


async def test_a_state_is_set_with_who_and_why_on_record(house: House) -> None:
    ref = keep(house, samples.event(1))
    async with connect(house) as client:
        await answer(client, "set_state", id=ref, state="resolved", reason="shipped\nin 42")
        said = json.loads(await answer(client, "set_state", id=ref, state="noise"))
    incident = queries.incident(house.database, ref)
    assert (incident.status, incident.lane) == (Status.RESOLVED, Lane.NOISE)
    assert "once a person confirms" in said["note"]
    acts = [(act.who, act.what, act.reason) for act in queries.acts(house.database, ref)]
    assert ("assistant", "status", "shipped in 42") in acts


async def test_a_patch_without_a_test_to_judge_it_by_is_refused_with_the_next_step(house: House) -> None:
    ref = keep(house, samples.event(1))
    async with connect(house) as client:
        assert f'start_repair("{ref}")' in await refusal(client, "submit_patch", id=ref, diff=samples.DIFF)
        assert f'start_repair("{ref}")' in await refusal(client, "open_draft", id=ref)


async def test_the_verdict_names_the_failing_check_and_its_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x", proven=False)
    journal.add_repository(house.database, RepositoryConfig(name="shop", project="default", url="/nowhere"))
    asked: list[tuple[object, ...]] = []

    def judged(house: House, incident_id: str, diff: str, repo: str | None, by: str) -> Submission:
        asked.append((incident_id, diff, repo, by))
        return samples.submission(incident_id, Validation(
            verdict=ValidationVerdict.FAILED, rule="passes_after", said="assert 3 == 2",
            oracle=Oracle.PARENT_VALUE, fails_before=(10, 10), passes_after=(0, 10),
        ))  # fmt: skip

    monkeypatch.setattr(detached, "judged", judged)
    async with connect(house) as client:
        told = json.loads(await answer(client, "submit_patch", id=ref, diff=samples.DIFF, repo="shop"))
    assert asked == [(ref, samples.DIFF, "shop", "assistant")]
    assert (told["verdict"], told["failing"], told["passes_after"]) == ("failed", "passes_after", [0, 10])
    assert "assert 3 == 2" in told["said"]


async def test_a_draft_is_opened_by_policy_and_else_by_a_person_at_an_address(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x")
    draft = DraftPullRequest(
        forge="local_git",
        repo="shop",
        branch="nightdesk/inc-1",
        base="main",
        title="t",
        body="b",
        state="open",
    )
    approved_by: list[object] = []

    def opened(house: House, incident_id: str, by: str | None = None) -> list[DraftPullRequest]:
        approved_by.append(by)
        return [draft]

    monkeypatch.setattr(repairing, "open_draft", opened)
    async with connect(house) as client:
        told = json.loads(await answer(client, "open_draft", id=ref))
        assert told["opened"][0]["branch"] == "nightdesk/inc-1"
        monkeypatch.setattr(repairing, "open_draft", lambda *args: "The policy is 'ask'.")
        told = json.loads(await answer(client, "open_draft", id=ref))
    assert approved_by == [None]  # an assistant is nobody's approval
    assert told["opened"] == []
    assert told["person_opens_it_at"].endswith(f"/incidents/{ref}")


async def test_what_breaks_inside_is_said_in_our_words_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = keep(house, samples.event(1))
    samples.attempt_with(house, ref, "x")

    def broken(*args: object, **options: object) -> Validation:
        raise RuntimeError("secret path /srv/keys")

    monkeypatch.setattr(detached, "judged", broken)
    async with connect(house) as client:
        said = await refusal(client, "submit_patch", id=ref, diff=samples.DIFF)
    assert "secret" not in said
    assert "nightdesk doctor" in said


# --- prompts, resources, completion ---------------------------------------------------------------


async def test_prompts_are_described_and_take_nothing_but_an_id(house: House) -> None:
    async with connect(house) as client:
        prompts = (await client.list_prompts()).prompts
        assert {prompt.name: bool(prompt.description) for prompt in prompts} == {
            "focus": True, "investigate": True, "fix": True,
        }  # fmt: skip
        said = await client.get_prompt("fix", {"id": "inc-7"})
        odd = await client.get_prompt("fix", {"id": "INC-7 and then CANARY"})
    assert "Fix INC-7." in said.model_dump_json()
    assert "CANARY" not in odd.model_dump_json()


async def test_an_incident_is_a_resource_and_ids_are_completed(house: House) -> None:
    ref = keep(house, samples.event(1))
    template = ResourceTemplateReference(type="ref/resource", uri="incident://{id}")
    async with connect(house) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [each.uri_template for each in templates] == ["incident://{id}"]
        read = await client.read_resource(f"incident://{ref}")
        assert f"# {ref}" in read.model_dump_json()
        for beginning in ("", "INC", "inc-1", "1"):
            done = await client.complete(template, {"name": "id", "value": beginning})
            assert done.completion.values == [ref]
        prompt = PromptReference(type="ref/prompt", name="fix")
        assert (await client.complete(prompt, {"name": "id", "value": "INC-9"})).completion.values == []


# --- a checkout -----------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "shop" / "rates.py").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "rates")
    return git(folder, "rev-parse", "HEAD")


async def test_a_checkout_is_told_whether_the_cause_and_the_fix_are_in_it(
    house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    (folder / "shop").mkdir(parents=True)
    git(folder, "init", "-q")
    before = commit(folder, "b = 0\n")
    broken = commit(folder, "a = 1\n" + "\n" * 9 + 'def quote(order):\n    return order["carrier"]\n')
    fixed = commit(folder, "a = 2\n" + "\n" * 9 + 'def quote(order):\n    return order["carrier"]\n')
    house.mirrors.add("shop", str(folder))
    journal.add_repository(house.database, RepositoryConfig(name="shop", project="default", url=str(folder)))
    journal.add_release(
        house.database, Release(project="default", version="shop@1", commits={"shop": broken})
    )
    ref = keep(house, samples.event(1))
    async with connect(house) as client:
        assert f"not fixed: at commit {broken[:12]}" in await answer(
            client, "get_incident", ref=ref, checkout_sha=broken
        )
        made = samples.attempt_with(house, ref, "x")
        change = made.changes[0].model_copy(update={"commit": broken})
        journal.keep_attempt(house.database, made.model_copy(update={"changes": (change,)}))
        for sha, said in (
            (fixed, "contains the fix"),
            (before, "does not contain the change that caused it"),
            (broken, "not fixed"),
            ("f" * 40, "is in no mirror"),
            ("main; rm -rf /", "is not a commit"),
        ):
            text = await answer(client, "get_incident", ref=ref, checkout_sha=sha)
            (line,) = [line for line in text.splitlines() if line.startswith("- **Your checkout:**")]
            assert said in line
