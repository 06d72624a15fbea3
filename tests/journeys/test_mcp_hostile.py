"""Whatever attackers write into an event, a commit or an argument: no answer lets it out of its quotation.

The corpus is `tests/corpus/hostile.json`; every tool, prompt, resource and completion is asked, through a real client.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_types import ResourceTemplateReference

from server.house import House
from server.repairs import repairing
from server.work import detached
from server.work.detached import Started
from store import journal
from store.repair import Submission, Validation, ValidationVerdict
from tests.journeys import mcp_samples as samples
from tests.journeys.mcp_client import KINDS, READING, WRITING, answer, connect, keep, refusal

pytestmark = pytest.mark.anyio
ATTACKS = json.loads((Path(__file__).resolve().parents[1] / "corpus" / "hostile.json").read_text())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def hostile(house: House) -> dict[str, str]:
    """An incident with a repair for each attack: id to attack."""
    made = {}
    for number, attack in enumerate(ATTACKS, 1):
        ref = keep(house, samples.hostile_event(number, attack["text"]))
        samples.attempt_with(house, ref, attack["text"], proven=number % 2 == 0)
        made[ref] = attack["id"]
    return made


def outside(text: str) -> str:
    """What of an answer stands outside every quotation; fails where a quotation is not whole."""
    kept: list[str] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if not (opened := re.fullmatch(r"(`{3,})(\w+) ([a-z]{8})", line)):
            kept.append(line)
            continue
        body = list(quoted_lines(lines, opened[1]))
        if opened[2] == "text":
            assert body.pop() == f"{opened[3]} end"
            assert all(each.startswith("| ") for each in body)
    rest = "\n".join(kept)
    return re.sub(r"`([a-z]{8}) [a-z]+\| [^`]* \|\1[^`]*`|`[^`\s]+`", "QUOTED", rest)


def quoted_lines(lines: Iterator[str], fence: str) -> Iterator[str]:
    for line in lines:
        if line == fence:
            return
        yield line
    raise AssertionError("a fence is not closed")


def assert_tame(text: str) -> None:
    """Nothing hides in an answer, and nothing of an attack stands outside its quotations."""
    assert not [one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Co", "Cn"} and one != "\n"]
    rest = outside(text)
    assert "CANARY" not in rest
    assert not re.search(r"<[a-zA-Z/!]|\]\(|evil\.example|\bcurl\b", rest)


def assert_tame_json(values: Any) -> None:
    if isinstance(values, dict):
        for name, value in values.items():
            assert "CANARY" not in name
            assert_tame_json(value)
    elif isinstance(values, list):
        for value in values:
            assert_tame_json(value)
    elif isinstance(values, str) and "CANARY" in values:
        flagged = r"(?: \(flagged: [A-Za-z, ]+\))?"
        between = rf"([a-z]{{8}}) [a-z]+\| .* \|\1{flagged}"
        to_its_end = rf"[a-z]{{8}} [a-z]+{flagged}\| .*"
        assert re.fullmatch(rf"{between}|{to_its_end}|\S+", values), values


@pytest.mark.heavy
@pytest.mark.slow
async def test_no_attack_leaves_its_quotation_in_any_tool(house: House, hostile: dict[str, str]) -> None:
    quoted = set()
    async with connect(house) as client:
        for ref, name in hostile.items():
            for section in ((), ("stack", "steps", "hypotheses", "test", "contexts")):
                text = await answer(client, "get_incident", ref=ref, sections=list(section))
                assert_tame(text)
                quoted |= {name} if "CANARY" in text else set()
            for tool in ("get_causes", "get_reproducer", "get_fix"):
                assert_tame(await answer(client, tool, id=ref))
            for kind in KINDS:
                assert_tame(await answer(client, "get_evidence", id=ref, kind=kind))
        cursor = None
        while True:
            page = json.loads(await answer(client, "list_incidents", lane="all", limit=50, cursor=cursor))
            assert_tame_json(page)
            cursor = page.get("next_cursor")
            if cursor is None:
                break
    assert len(quoted) >= len(ATTACKS) - 8  # a very long one shows its beginning only; redaction takes a few


@pytest.mark.slow
async def test_no_attack_leaves_its_quotation_in_what_the_judge_and_the_policy_say(
    house: House, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = iter([attack["text"] for attack in ATTACKS] * 2)

    def judged(house: House, ref: str, *args: object) -> Submission:
        text = next(texts)
        told = Validation(
            verdict=ValidationVerdict.FAILED, rule=text[:60], said=text[:2000], constraints=(text[:300],)
        )
        return samples.submission(ref, told)

    monkeypatch.setattr(detached, "judged", judged)
    monkeypatch.setattr(repairing, "open_draft", lambda *args: next(texts))
    async with connect(house) as client:
        for number, ref in enumerate(hostile, 1):
            assert_tame_json(json.loads(await answer(client, "submit_patch", id=ref, diff="CANARY")))
            if number % 2 == 0:
                assert_tame_json(json.loads(await answer(client, "open_draft", id=ref)))
            assert_tame_json(
                json.loads(await answer(client, "set_state", id=ref, state="claimed", reason="x"))
            )


async def test_an_attack_in_the_arguments_comes_back_in_no_error(house: House) -> None:
    async with connect(house) as client:
        for attack in ATTACKS:
            text = attack["text"][:3000]
            for tool, arguments in (
                ("get_causes", {"id": text}),
                ("get_evidence", {"id": text, "kind": text}),
                ("set_state", {"id": text, "state": text}),
                ("list_incidents", {"cursor": text}),
                ("list_incidents", {"since": text}),
            ):
                assert "CANARY" not in await refusal(client, tool, **arguments)


def test_the_corpus_is_large_and_says_of_each_attack_how_it_is_flagged() -> None:
    assert len({attack["text"] for attack in ATTACKS}) >= 40
    assert all(set(attack["signs"]) <= {"instruction", "shell line", "URL"} for attack in ATTACKS)
    assert sum(bool(attack["signs"]) for attack in ATTACKS) >= 30


@pytest.mark.heavy
@pytest.mark.slow
async def test_every_tool_resource_and_prompt_is_asked_with_every_attack_in_its_evidence(
    house: House, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above look closely at some tools; here none is forgotten, and what an assistant itself said comes back."""
    texts = {ref: attack["text"] for ref, attack in zip(hostile, ATTACKS, strict=True)}

    def started(house: House, incident_id: str) -> Started:
        return Started(journal.start_attempt(house.database, incident_id).id, True)

    def judged(house: House, ref: str, *args: object) -> Submission:
        text = texts[ref]
        lint = {text[:100]: [text[:1000]]}
        told = Validation(
            verdict=ValidationVerdict.FAILED, rule=text[:60], said=text[:2000], lint=lint, types=lint
        )
        return samples.submission(ref, told)

    monkeypatch.setattr(detached, "start_repair", started)
    monkeypatch.setattr(detached, "judged", judged)
    monkeypatch.setattr(repairing, "open_draft", lambda house, ref: texts[ref])
    asked = set()
    async with connect(house, by="assistant") as client:

        async def tame(tool: str, **arguments: Any) -> None:
            asked.add(tool)
            text = await answer(client, tool, **arguments)
            if text.startswith("{"):
                assert_tame_json(json.loads(text))
            else:
                assert_tame(text)

        for ref, text in texts.items():
            said = text[:1500] or "x"
            await tame("set_state", id=ref, state="noise", reason=said)
            await tame("submit_patch", id=ref, diff=said)
            if list(texts).index(ref) % 2 == 1:  # those with a proven fix
                await tame("open_draft", id=ref)
            for tool in ("get_causes", "get_reproducer", "get_fix"):
                await tame(tool, id=ref)
            await tame("start_repair", id=ref, hypothesis=said, hint=said)
            await tame("get_fix", id=ref)
            await tame("get_incident", ref=ref)
            for kind in KINDS:
                await tame("get_evidence", id=ref, kind=kind)
            read = await client.read_resource(f"incident://{ref}")
            assert_tame(read.contents[0].text)  # type: ignore[union-attr]
            for prompt in ("investigate", "fix"):
                prompted = (await client.get_prompt(prompt, {"id": text[:500]})).model_dump_json()
                assert "CANARY" not in prompted
        for query in (attack["text"][:40] for attack in ATTACKS):
            await tame("list_incidents", lane="all", query=query)
        listed = (await client.list_resources()).model_dump_json()
        template = ResourceTemplateReference(type="ref/resource", uri="incident://{id}")
        done = await client.complete(template, {"name": "id", "value": ""})
        assert "CANARY" not in listed + done.model_dump_json()
    assert asked == READING | WRITING


@pytest.mark.slow
async def test_a_pasted_trace_full_of_attacks_is_quoted_and_is_kept_under_our_own_words(house: House) -> None:
    async with connect(house) as client:
        for attack in ATTACKS:
            lines = attack["text"][:2000].replace("\n", " ")
            trace = (
                f'Traceback (most recent call last):\n  File "/app/shop/rates.py", line 12, in quote\n'
                f"    {lines}\nKeyError: {lines}\n"
            )
            assert_tame(await answer(client, "get_incident", ref=trace))
            assert_tame_json(json.loads(await answer(client, "set_state", id=trace, state="kept")))
