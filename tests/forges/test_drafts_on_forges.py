"""Drafts of a proven fix on GitHub and GitLab: pressed once, pressed twice, while the forge is down, where it says no."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fixloop.changes.pull_requests import Brought
from fixloop.forges.rest import Api, place_of
from server.cli import cli
from server.drafts import approvals
from server.drafts.approvals import go_on, open_drafts
from server.house import House
from server.operating.checks import State, examine
from server.repairs.forge_lookups import asked_of
from store import journal, queries, tasks
from store.errors import NotAllowed, Unavailable
from store.event import ExceptionValue
from store.repair import Ended
from store.tasks import TaskKind
from tests.forges.fake import Fake
from tests.journeys import mcp_samples as samples


def test_a_person_opens_it_and_pressed_twice_it_is_one_draft(desk: House, forge: Fake) -> None:
    (first,) = open_drafts(desk, "INC-1", by="ann")
    (second,) = open_drafts(desk, "INC-1", by="ann")
    assert len(forge.pulls) == 1
    assert forge.pulls[0]["draft"] is True
    assert (first.number, first.url, first.state) == (second.number, second.url, "open")
    assert forge.git("log", "--format=%s", f"main..{first.branch}").count("\n") == 1  # the test, and the fix
    assert forge.git("show", f"{first.branch}:shop/rates.py") == "# rates\na = 2"
    assert forge.unknown == []
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    assert attempt.ended is Ended.DRAFTED


def test_nothing_of_the_event_acts_on_the_forge(desk: House, forge: Fake) -> None:
    open_drafts(desk, "INC-1", by="ann")
    text = forge.pulls[0].get("body") or forge.pulls[0]["description"]
    assert "@team" not in text
    assert "<!--" not in text
    assert not any(line.startswith("/") for line in text.splitlines())


def test_by_itself_nothing_is_opened_on_a_remote_forge_unless_the_policy_says_so(
    desk: House, forge: Fake
) -> None:
    with pytest.raises(NotAllowed, match="waits for a person"):
        open_drafts(desk, "INC-1")
    assert forge.calls == []


def test_while_the_forge_is_down_the_draft_waits_and_goes_on_by_itself(desk: House, forge: Fake) -> None:
    forge.down = True
    (waiting,) = open_drafts(desk, "INC-1", by="ann")
    assert (waiting.state, waiting.approved_by) == ("waiting", "ann")
    (task,) = tasks.waiting(desk.database, TaskKind.DRAFT)
    said = {check.part: check for check in examine(desk)}
    assert said["drafts of shop"].state is State.BROKEN
    assert "as soon as it does" in said["draft of INC-1"].said
    go_on(desk, task)
    assert tasks.waiting(desk.database, TaskKind.DRAFT) == [task]
    forge.down = False
    go_on(desk, task)
    assert tasks.waiting(desk.database, TaskKind.DRAFT) == []
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    assert [(draft.state, draft.approved_by) for draft in attempt.drafts] == [("open", "ann")]
    assert len(forge.pulls) == 1


def test_a_repair_has_ended_while_its_draft_waits_for_the_forge(desk: House, forge: Fake) -> None:
    forge.down = True
    open_drafts(desk, "INC-1", by="ann")
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    assert not tasks.is_waiting(desk.database, attempt.id)
    assert not tasks.cancel_repair(desk.database, attempt.id, "ann", "not now")
    assert len(tasks.waiting(desk.database, TaskKind.DRAFT)) == 1
    known = {"NIGHTDESK_FORGES": f"{forge.address.removeprefix('http://')}={forge.kind}"}
    done = CliRunner().invoke(cli, ["draft", "INC-1", "--yes", "--data", str(desk.config.data)], env=known)
    assert "waits for the forge of shop" in done.stdout


def test_a_draft_opened_by_the_policy_waits_too_where_nobody_can_say_who_may_read_it(
    desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "decide", lambda *_: approvals.Decision(True, "the policy is 'proven'"))
    forge.down = True
    (waiting,) = open_drafts(desk, "INC-1")
    assert waiting.state == "waiting"
    forge.down, forge.public = False, True
    (task,) = tasks.waiting(desk.database, TaskKind.DRAFT)
    with pytest.raises(NotAllowed, match="anybody"):
        go_on(desk, task)
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    assert (attempt.drafts, tasks.waiting(desk.database, TaskKind.DRAFT)) == ((), [])
    assert forge.pulls == []


def test_a_draft_that_waits_counts_to_the_cap_of_its_repository_whichever_incident_it_is_of(
    desk: House, forge: Fake
) -> None:
    config = desk.config.model_copy(update={"drafts": "proven", "draft_cap": 1})
    house = House(config, desk.database, desk.redaction)
    desk.receive([samples.event(2, exceptions=(ExceptionValue(type="OSError", value="gone"),))])
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    (incident,) = [found for found in queries.incidents(desk.database) if found.id != "INC-1"]
    first = approvals.decide(house, incident, attempt)
    assert (first.opens, first.why) == (True, "the policy is 'proven' and the proof is complete")
    elsewhere = samples.attempt_with(desk, incident.id, "its cause is in the library")
    draft = elsewhere.drafts[0].model_copy(update={"repo": "shop", "state": "waiting"})
    journal.keep_attempt(desk.database, elsewhere.model_copy(update={"drafts": (draft,)}))
    second = approvals.decide(house, incident, attempt)
    assert (second.opens, second.why) == (False, "shop has as many open drafts as its cap allows")


def test_an_interrupted_push_is_gone_on_with(
    desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Api.send
    left = [3]

    def fragile(self: Api, method: str, path: str, body: dict[str, object]) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable("the line is cut", retry=True)
        return asked(self, method, path, body)

    with monkeypatch.context() as cut:
        cut.setattr(Api, "send", fragile)
        for tries in range(3, 12, 3):
            left[0] = tries
            open_drafts(desk, "INC-1", by="ann")
    (draft,) = open_drafts(desk, "INC-1", by="ann")
    assert draft.state == "open"
    assert len(forge.pulls) == 1
    assert forge.git("log", "--format=%s", f"main..{draft.branch}").count("\n") == 1


def test_a_repository_that_anybody_may_read_gets_no_draft_by_itself(
    desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.public = True
    monkeypatch.setattr(approvals, "decide", lambda *_: approvals.Decision(True, "the policy is 'proven'"))
    with pytest.raises(NotAllowed, match="anybody"):
        open_drafts(desk, "INC-1")
    assert forge.pulls == []
    (draft,) = open_drafts(desk, "INC-1", by="ann")
    assert draft.state == "open"


def test_a_token_that_is_refused_or_absent_is_said_with_where_to_set_it(
    desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"NIGHTDESK_{forge.kind.upper()}_TOKEN"
    monkeypatch.setenv(name, "old")
    with pytest.raises(NotAllowed, match=name):
        open_drafts(desk, "INC-1", by="ann")
    monkeypatch.delenv(name)
    monkeypatch.delenv(name.removeprefix("NIGHTDESK_"), raising=False)
    with pytest.raises(NotAllowed, match=f"No token for {forge.kind}: set {name}"):
        open_drafts(desk, "INC-1", by="ann")
    assert {check.part: check.state for check in examine(desk)}["drafts of shop"] is State.BROKEN


def test_a_plan_without_drafts_gets_a_branch_and_nothing_else(desk: House, forge: Fake) -> None:
    forge.drafts = False
    if forge.kind == "gitlab":  # every plan of GitLab has drafts
        assert open_drafts(desk, "INC-1", by="ann")[0].state == "open"
        return
    with pytest.raises(NotAllowed, match="no draft pull requests"):
        open_drafts(desk, "INC-1", by="ann")
    assert forge.pulls == []


def test_a_forge_tells_which_request_brought_a_commit_and_when_it_was_merged(
    desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = desk.mirrors.get("shop").head()
    forge.brought[sha] = [(9, None), (8, "2024-03-02T00:00:00Z"), (7, "2024-03-01T00:00:00Z")]
    sign = "#" if forge.kind == "github" else "!"
    asked = asked_of(desk, ["shop"])
    assert asked("shop", sha) == Brought(f"{sign}7", 1_709_251_200)
    assert asked("shop", "f" * 40) is None
    assert forge.unknown == []
    forge.down = True
    assert asked("shop", sha) is None
    forge.down = False
    called = len(forge.calls)
    assert asked("shop", sha) is None  # whoever failed once is not waited for again
    for name in ("GITHUB", "GITLAB"):
        monkeypatch.delenv(f"NIGHTDESK_{name}_TOKEN")
        monkeypatch.delenv(f"{name}_TOKEN", raising=False)
    assert asked_of(desk, ["shop"])("shop", sha) is None
    assert len(forge.calls) == called


def test_no_token_is_sent_over_a_plain_line_or_after_a_redirect() -> None:
    with pytest.raises(NotAllowed, match="use https"):
        Api("github", "http://git.example.com/api/v3", {})
    place = place_of("http://bot:secret@git.example.com:8080/team/shop.git")
    assert place is not None
    assert (place.site, place.host, place.path) == (
        "http://git.example.com:8080",
        "git.example.com:8080",
        "team/shop",
    )


@pytest.mark.parametrize(
    "address",
    [
        "/srv/git/shop",
        "shop",
        "file:///srv/shop",
        "https://github.com",
        "git@github.com:shop",
        "https://x/../y",
    ],
)
def test_an_address_that_names_no_repository_on_a_forge_is_none(address: str) -> None:
    assert place_of(address) is None
