"""What a house hands to a model: budgets of a day, redaction, documents and lines, roles and sources of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.kill_table import make_world
from fixloop.agent.desk import Desk
from fixloop.agent.purse import Purse, Spent
from fixloop.agent.roles import BUILT_IN, cast
from fixloop.models.scripted import Scripted
from server import plugins
from server.config import load
from server.house import House
from server.repairs.drilling import drills
from server.repairs.knowledge import knowledge_of
from server.repairs.ledger import UNDER_WAY, Ledger, spent_with
from server.repairs.models import desk_for, record, roles, spent_on, spent_today
from store import journal, queries
from store.event import Event
from store.incident import Step
from store.purging import older_than, purge


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House.open(load(make_world(tmp_path), {})) as opened:
        yield opened


def asked(house: House, words: str) -> Desk:
    desk = desk_for(house, "default", Spent(), {"ANTHROPIC_API_KEY": "scripted"})
    assert desk is not None
    desk.model = Scripted([{"content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn",
                            "usage": {"input_tokens": 900, "output_tokens": 100}}])  # fmt: skip
    desk.ask("analyst", {"messages": [{"role": "user", "content": [{"type": "text", "text": words}]}]})
    return desk


def test_without_a_key_there_is_no_desk_and_none_where_it_is_switched_off(house: House) -> None:
    assert desk_for(house, "default", Spent(), {}) is None
    house.config = house.config.model_copy(update={"model_from": "none"})
    assert desk_for(house, "default", Spent(), {"ANTHROPIC_API_KEY": "k"}) is None


def test_secrets_do_not_go_out_though_a_tool_has_read_them_in_the_code(house: House) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    desk = asked(house, f"12 aws = '{key}'\nmail = 'jane.doe@corp.example.net'")
    sent = desk.exchanges[0][1].sent
    assert key.encode() not in sent
    assert b"jane.doe" not in sent


def test_what_repairs_used_today_counts_and_their_transcripts_outlive_a_purge(house: House) -> None:
    told = record(house, asked(house, "hello"))
    attempt = journal.start_attempt(house.database, "INC-1")
    now = datetime.now(UTC)
    for name, at in (("investigate", now - timedelta(days=2)), ("repair", now)):
        details = {"model": told, "input": name + str(at)}
        step = Step(name=name, started_at=at, took=1.0, said="asked", details=details)
        journal.note_step(house.database, attempt.id, step)
    assert spent_today(house).tokens == 1000
    far = datetime.now(UTC) + timedelta(days=1)
    purge(house.database, house.artifacts, older_than(far), "t", "test")
    assert house.artifacts.has(told["transcript"])


def test_what_a_killed_step_had_paid_counts_and_its_transcript_goes_on(house: House) -> None:
    attempt = journal.start_attempt(house.database, "INC-1")

    def asking() -> tuple[Ledger, Desk]:
        ledger = Ledger(house, attempt.id, "repair", "input", None)
        purse = Purse(before=spent_with(Spent(), ledger))
        desk = Desk(Scripted([_REPLY, _killed]), "m", purse, keep=ledger.keep)
        desk.ask("fixer", {"messages": [{"role": "user", "content": "first"}]})
        return ledger, desk

    ledger, desk = asking()
    with pytest.raises(KeyboardInterrupt):  # the worker dies while the second request is out
        desk.ask("fixer", {"messages": [{"role": "user", "content": "second"}]})
    _, again = asking()
    assert again.purse.before.requests == 2
    assert (
        again.purse.before.tokens > 6_000
    )  # 1,000 were told; nobody knows of the other, which may have been long
    kept = queries.attempt(house.database, attempt.id)
    assert kept is not None
    (step,) = kept.steps
    told = step.details["model"]
    assert (step.details[UNDER_WAY], told["spent"]["requests"]) == (True, 3)
    assert spent_today(house).tokens == told["spent"]["tokens"]
    assert spent_on(kept) == Spent.model_validate(told["spent"]), "a review of the draft goes on from there"
    rows = [json.loads(line) for line in house.artifacts.get(told["transcript"]).splitlines()]
    assert [(row["status"], "second" in row["sent"]) for row in rows] == [
        (200, False), (None, True), (200, False)
    ]  # fmt: skip
    assert ledger.before.requests == 0


_REPLY = {"stop_reason": "end_turn", "content": [], "usage": {"input_tokens": 900, "output_tokens": 100}}


def _killed(body: object) -> dict[str, object]:
    raise KeyboardInterrupt


def test_documents_lines_and_what_else_was_reported_become_evidence(house: House, tmp_path: Path) -> None:
    event = queries.events(house.database, "INC-1")[0]
    log = tmp_path / "access.log"
    log.write_text(
        f"{event.timestamp.isoformat()} GET / for jane.doe@corp.example.net\n2001-01-01T00:00:00Z long ago\n"
    )
    house.config = house.config.model_copy(update={"logs": {"default": str(log)}})
    told = Event(
        event_id="f" * 32, project="default", received_at=event.received_at, timestamp=event.timestamp + timedelta(seconds=40),
        message="OOMKilling: pod till-7", logger="kubernetes", level="fatal",
    )  # fmt: skip
    house.receive([told])
    incident = queries.incident(house.database, "INC-1")
    mirror = house.mirrors.get("till")
    row = queries.repositories(house.database)[0]
    part = house.part(row, mirror).model_copy(update={"runbooks": ("README.md",)})
    known = knowledge_of(house, incident, [event], {"till": part}, {"till": mirror}, {"till": mirror.head()})
    assert ("runbook", "README.md", "A till.\n") in [
        (one.kind, one.path, one.text) for one in known.documents
    ]
    assert [line.id for line in known.lines] == ["L0", "S0"]
    assert "jane.doe" not in known.lines[0].text
    assert known.lines[1].source == "kubernetes"


class Searcher:
    """A team's own way to search."""

    name, stage, system, turns = "code_searcher", "gather", "Look in the monorepo first.", 2
    tools: tuple[str, ...] = ("read",)


class Reviewer:
    """A role that is not there otherwise."""

    name, stage, system, turns = "style", "validate", "Mind our conventions.", 1
    tools: tuple[str, ...] = ()


class Odd:
    """A role for a stage that does not exist."""

    name, stage, system, turns = "merger", "merge", "Merge.", 1
    tools: tuple[str, ...] = ()


def test_a_teams_role_takes_the_place_of_ours_or_is_added_and_none_gets_a_stage_of_its_own() -> None:
    found = cast([Searcher(), Reviewer(), Odd()])
    assert [role.name for role in found] == ["error_analyst", "code_searcher", "root_cause", "fix", "style"]
    assert found[1].system == "Look in the monorepo first."
    assert roles() == BUILT_IN


class Flags:
    """A source of a plug-in."""

    name = "flags"

    def tools(self) -> list[object]:
        return []


def test_a_source_is_there_where_the_operator_names_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drills(house) == []
    house.config = house.config.model_copy(update={"prometheus": "http://127.0.0.1:9"})
    monkeypatch.setattr(plugins, "parts", lambda group: [Flags()] if group == "drills" else [])
    assert [tool.name for tool in drills(house)] == ["metric_range", "metric_names"]
    assert plugins.missing(Flags(), plugins.PROTOCOLS["drills"]) == []
