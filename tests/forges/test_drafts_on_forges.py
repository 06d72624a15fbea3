"""Drafts of a proven fix on GitHub and GitLab: pressed once, pressed twice, while the forge is down, where it says no."""

from __future__ import annotations

import pytest

from fixloop.forges.rest import Api, place_of
from server import approvals
from server.approvals import go_on, open_drafts
from server.checks import State, examine
from server.house import House
from store import queries, tasks
from store.errors import NotAllowed, Unavailable
from store.repair import Ended
from store.tasks import TaskKind
from tests.forges.fake import Fake


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
