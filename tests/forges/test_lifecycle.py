"""What becomes of a draft moves its incident: by looking at the forge, by signed webhooks; and a merged fix is watched."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import make_app
from server.drafts import lifecycle, watching
from server.drafts.approvals import open_drafts, open_test
from server.house import House
from server.operating.calibration import back_test
from store import following, journal, notices, queries, recurring
from store.incident import Status
from store.notices import Telling
from store.project import Release
from tests.forges.fake import Fake
from tests.journeys import mcp_samples as samples

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def opened(desk: House) -> int:
    (draft,) = open_drafts(desk, "INC-1", by="ann")
    assert draft.number is not None
    return draft.number


def status(desk: House) -> Status:
    return queries.incident(desk.database, "INC-1").status


def looked(desk: House, after: timedelta = timedelta()) -> int:
    return lifecycle.look_round(desk, datetime.now(UTC) + after)


def release(desk: House, version: str, commit: str) -> None:
    row = Release(project="default", version=version, commits={"shop": commit}, deployed_at=NOW)
    journal.add_release(desk.database, row)


def crash(desk: House, number: int, version: str | None) -> None:
    """An event of the same error in a release, after the merge."""
    desk.keep([samples.event(number, release=version, timestamp=NOW + timedelta(hours=number))])


def merged(desk: House, forge: Fake) -> str:
    """The fix is merged over there and seen here; the merge commit."""
    commit = forge.merge(opened(desk))
    assert looked(desk) == 1
    assert status(desk) is Status.RESOLVED
    return commit


def test_a_merged_draft_resolves_its_incident_which_a_person_can_take_back(desk: House, forge: Fake) -> None:
    number = opened(desk)
    assert looked(desk) == 0
    forge.merge(number)
    assert looked(desk) == 0, "it was looked at just now"
    assert looked(desk, timedelta(minutes=6)) == 1
    assert status(desk) is Status.RESOLVED
    act = queries.acts(desk.database, "INC-1")[-1]
    assert (act.what, act.who) == ("status", "forge")
    assert act.reason.startswith("resolved by a merged change: http")
    assert [label.matters for label in back_test(desk, "default").labels] == [True]
    journal.undo(desk.database, "ann")
    assert status(desk) is Status.OPEN
    assert back_test(desk, "default").labels == []
    assert looked(desk, timedelta(days=1)) == 0, "what a person took back is not said again"
    assert status(desk) is Status.OPEN
    assert forge.unknown == []


def test_a_draft_that_is_closed_leaves_its_incident_open_and_can_be_opened_again(
    desk: House, forge: Fake
) -> None:
    number = opened(desk)
    forge.pulls[number - 1]["state"] = "closed"
    assert looked(desk) == 1
    assert status(desk) is Status.OPEN
    forge.pulls[number - 1]["state"] = "open" if forge.kind == "github" else "opened"
    assert looked(desk, timedelta(minutes=31)) == 1
    acts = [(act.before, act.after) for act in queries.acts(desk.database, "INC-1") if act.what == "draft"]
    assert acts == [("open", "closed"), ("closed", "open")]


def test_comments_and_checks_are_kept_once_and_redacted(desk: House, forge: Fake) -> None:
    opened(desk)
    who = {"user": {"login": "ann"}} if forge.kind == "github" else {"author": {"username": "ann"}}
    text = "mail me at ann.smith@corp-mail.com"
    forge.said = [{"id": 5, "body": text, "created_at": "2026-11-21T10:00:00Z", **who}]
    if forge.kind == "github":
        forge.checks = [{"name": "unit", "status": "completed", "conclusion": "failure"}]
    else:
        forge.checks = [{"id": 9, "status": "failed", "updated_at": "2026-11-21T10:00:00Z"}]
    looked(desk)
    looked(desk, timedelta(minutes=6))
    said = [one for _, one in following.feedback(desk.database, "INC-1")]
    assert sorted(one.kind for one in said) == ["check", "comment"]
    comment, check = sorted(said, key=lambda one: one.kind, reverse=True)
    assert comment.who == "ann"
    assert "ann.smith" not in comment.text
    assert check.outcome in {"failure", "failed"}
    assert forge.unknown == []


def test_a_forge_that_is_down_is_asked_less_and_less_often(desk: House, forge: Fake) -> None:
    opened(desk)
    forge.down = True
    for minutes in (0, 11, 32):
        looked(desk, timedelta(minutes=minutes))
    calls = len(forge.calls)
    looked(desk, timedelta(minutes=33))
    assert len(forge.calls) == calls
    (one,) = following.troubled(desk.database)
    assert one.failures == 3
    assert "ill (503)" in one.said
    forge.down = False
    looked(desk, timedelta(hours=7))
    assert following.troubled(desk.database) == []


def test_only_an_event_of_a_build_with_the_fix_reopens_and_does_so_at_once(desk: House, forge: Fake) -> None:
    base = desk.mirrors.get("shop").head()
    commit = merged(desk, forge)
    desk.mirrors.sync("shop")
    release(desk, "old", base)
    release(desk, "new", commit)
    watching.foresee(desk)
    crash(desk, 2, "old")
    assert status(desk) is Status.RESOLVED
    (recorded,) = desk.keep([samples.event(3, release="new", timestamp=NOW)])
    assert recorded.regressed
    assert status(desk) is Status.REGRESSED
    act = queries.acts(desk.database, "INC-1")[-1]
    assert "ran on new, which contains the fix" in act.reason
    (watch,) = watching.reports(desk, "INC-1")
    assert watch.said == "It came back in new, which contains the fix."
    told = [notice for notice in notices.unspread(desk.database) if notice.kind is Telling.RECURRENCE]
    assert len(told) == 1
    assert "tests/test_inc.py" in told[0].said


def test_a_build_that_nobody_has_looked_at_yet_is_looked_up_and_then_reopens(
    desk: House, forge: Fake
) -> None:
    commit = merged(desk, forge)
    crash(desk, 2, commit[:12])  # a release that is called by its commit
    assert status(desk) is Status.RESOLVED
    assert watching.decide_builds(desk) == 1
    assert status(desk) is Status.REGRESSED
    assert watching.decide_builds(desk) == 0


def test_a_build_that_nobody_can_place_reopens_only_a_day_after_the_merge(desk: House, forge: Fake) -> None:
    merged(desk, forge)
    crash(desk, 2, "somewhere")
    assert watching.decide_builds(desk) == 0
    assert status(desk) is Status.RESOLVED
    assert watching.reports(desk, "INC-1")[0].unplaced == 1
    crash(desk, 30, "somewhere")
    assert watching.decide_builds(desk) == 1
    assert "nothing tells whether its build has the fix" in queries.acts(desk.database, "INC-1")[-1].reason


def test_a_fix_that_holds_is_said_with_exposures_and_the_exact_bound(desk: House, forge: Fake) -> None:
    base = desk.mirrors.get("shop").head()
    commit = merged(desk, forge)
    release(desk, "old", base)
    release(desk, "new", commit)
    watching.foresee(desk)
    assert "how many requests they have served is not known" in watching.reports(desk, "INC-1")[0].said
    served = [("new", "production", "", NOW + timedelta(hours=hour), 100) for hour in range(3)]
    recurring.expose(desk.database, 1, [*served, ("old", "production", "", NOW, 5000)])
    crash(desk, 2, "old")
    (watch,) = watching.reports(desk, "INC-1")
    assert (watch.exposures, watch.failures, watch.without) == (300, 0, ("old",))
    assert (
        watch.said == "0 of 300 requests, ≤ 0.99 % at 95 %"
    )  # 1 - 0.05 ** (1 / 300); the rule of three says 1 %
    assert watch.bound == pytest.approx(1 - 0.05 ** (1 / 300))


def test_the_failing_test_lands_alone_and_the_fix_goes_on_the_same_branch(desk: House, forge: Fake) -> None:
    first = open_test(desk, "INC-1", by="ann")
    assert open_test(desk, "INC-1", by="ann").number == first.number
    assert forge.git("diff", "--name-only", f"main...{first.branch}") == "tests/test_inc.py"
    attempt = queries.latest_attempt(desk.database, "INC-1")
    assert attempt is not None
    assert [draft.kind for draft in attempt.drafts] == ["test"]
    (fix,) = open_drafts(desk, "INC-1", by="ann")
    assert (fix.kind, fix.number) == ("fix", first.number)
    subjects = forge.git("log", "--reverse", "--format=%s", f"main..{fix.branch}").splitlines()
    assert len(subjects) == 2
    assert subjects[0] == "INC-1: the failing test"
    assert len(forge.pulls) == 1
    assert forge.unknown == []


def test_a_test_that_is_merged_alone_does_not_resolve_its_incident(desk: House, forge: Fake) -> None:
    first = open_test(desk, "INC-1", by="ann")
    assert first.number is not None
    forge.merge(first.number)
    assert looked(desk) == 1
    assert status(desk) is Status.OPEN
    assert recurring.watches(desk.database, "INC-1") == []


def test_code_owners_are_asked_to_review_and_an_outsider_keeps_nobody_away(
    desk: House, forge: Fake, tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    (origin / "CODEOWNERS").write_text("* @outsider @ann ben@example.com\n", encoding="utf-8")
    for words in (
        ("add", "-A"),
        ("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "Own"),
    ):
        forge.git("--work-tree", str(origin), *words)
    desk.mirrors.sync("shop")
    (draft,) = open_drafts(desk, "INC-1", by="ann")
    assert draft.reviewers == ("@outsider", "@ann", "@ada")  # the last one wrote the proven cause
    if forge.kind == "github":
        assert forge.pulls[0]["asked"] == ["ann", "ada"]
        assert forge.pulls[0]["labels"] == ["nightdesk"]
    else:
        assert forge.pulls[0]["reviewer_ids"] == [8, 7]
        assert forge.pulls[0]["labels"] == "nightdesk"


# --- webhooks -------------------------------------------------------------------------------------


def hook_of(forge: Fake, number: int, commit: str | None, state: str) -> tuple[str, dict[str, Any]]:
    """What a forge posts of a draft: the name of the event and the payload, as documented."""
    at = "2026-11-21T12:00:00Z" if commit else None
    if forge.kind == "github":
        pull = {
            **forge.pulls[number - 1], "state": "open" if state == "opened" else "closed", "merged_at": at,
            "merge_commit_sha": commit,
        }  # fmt: skip
        return "pull_request", {
            "action": "closed", "number": number, "pull_request": pull,
            "repository": {"full_name": "team/shop"},
        }  # fmt: skip
    about = {
        "iid": number, "source_branch": "nightdesk/INC-1", "state": state, "merge_commit_sha": commit,
        "updated_at": "2026-11-21 12:00:00 UTC", "url": forge.pulls[number - 1]["web_url"],
    }  # fmt: skip
    return "Merge Request Hook", {
        "object_kind": "merge_request", "object_attributes": about, "project": {"path_with_namespace": "team/shop"},
    }  # fmt: skip


def signed(forge: Fake, event: str, body: bytes, secret: str) -> dict[str, str]:
    if forge.kind == "gitlab":
        return {"X-Gitlab-Event": event, "X-Gitlab-Token": secret}
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={made}"}


async def post(desk: House, forge: Fake, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=make_app(desk), client=("203.0.113.9", 4000))
    async with httpx.AsyncClient(transport=transport, base_url="http://nightdesk.example") as http:
        return await http.post(f"/hooks/default/{forge.kind}", content=body, headers=dict(headers))


def secret_of(desk: House) -> str:
    return queries.keys(desk.database, "default")[0].key


@pytest.mark.anyio
async def test_a_signed_webhook_of_a_merge_resolves_the_incident_once(desk: House, forge: Fake) -> None:
    number = opened(desk)
    event, told = hook_of(forge, number, "a" * 40, "merged")
    body = json.dumps(told).encode()
    headers = signed(forge, event, body, secret_of(desk))
    first = await post(desk, forge, body, headers)
    assert (first.status_code, first.json()["moved"]) == (200, ["INC-1"])
    assert (await post(desk, forge, body, headers)).json()["moved"] == []
    assert status(desk) is Status.RESOLVED
    (watch,) = recurring.watches(desk.database, "INC-1")
    assert watch.commits == {"shop": "a" * 40}
    assert watch.merged_at == NOW


@pytest.mark.anyio
async def test_a_webhook_without_a_good_signature_moves_nothing(desk: House, forge: Fake) -> None:
    event, told = hook_of(forge, opened(desk), "a" * 40, "merged")
    body = json.dumps(told).encode()
    public = journal.add_key(desk.database, "default", public=True).key
    bare = {name: text for name, text in signed(forge, event, body, "x").items() if "Event" in name}
    answers = [
        await post(desk, forge, body, headers)
        for headers in (bare, signed(forge, event, body, "wrong"), signed(forge, event, body, public))
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 403]
    altered = await post(desk, forge, body + b" ", signed(forge, event, body, secret_of(desk)))
    assert altered.status_code == (403 if forge.kind == "github" else 200)  # GitLab signs no bodies
    if forge.kind == "github":
        assert status(desk) is Status.OPEN


@pytest.mark.anyio
async def test_a_webhook_of_a_strange_shape_is_refused_or_says_nothing(desk: House, forge: Fake) -> None:
    event = "pull_request" if forge.kind == "github" else "Merge Request Hook"
    for body in (b"[]", b"{", b'{"pull_request": 3}', b'{"object_kind": "merge_request"}', b"{}"):
        answer = await post(desk, forge, body, signed(forge, event, body, secret_of(desk)))
        assert answer.status_code in {200, 400}
        assert status(desk) is Status.OPEN
        if answer.status_code == 200:
            assert answer.json() == {"moved": [], "kept": 0}


@pytest.mark.anyio
async def test_a_webhook_of_another_project_reaches_no_draft_of_ours(desk: House, forge: Fake) -> None:
    event, told = hook_of(forge, opened(desk), "a" * 40, "merged")
    body = json.dumps(told).encode()
    journal.add_project(desk.database, "other")
    key = journal.add_key(desk.database, "other").key
    transport = httpx.ASGITransport(app=make_app(desk), client=("203.0.113.9", 4000))
    async with httpx.AsyncClient(transport=transport, base_url="http://nightdesk.example") as http:
        headers = signed(forge, event, body, key)
        answer = await http.post(f"/hooks/other/{forge.kind}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["moved"]) == (200, [])
    assert status(desk) is Status.OPEN


@pytest.mark.anyio
async def test_comments_checks_and_deployments_come_by_webhook_too(desk: House, forge: Fake) -> None:
    opened(desk)
    head = desk.mirrors.get("shop").head()
    if forge.kind == "github":
        where = {"repository": {"full_name": "team/shop"}}
        said = {"id": 3, "body": "why?", "user": {"login": "ann"}, "created_at": "2026-11-21T10:00:00Z"}
        run = {"name": "unit", "conclusion": "failure", "check_suite": {"head_branch": "nightdesk/INC-1"}}
        made = {"ref": "v7", "sha": head, "environment": "production"}
        sent: list[tuple[str, dict[str, Any]]] = [
            (
                "issue_comment",
                {"action": "created", "issue": {"number": 1, "pull_request": {}}, "comment": said},
            ),
            ("check_run", {"action": "completed", "check_run": run}),
            ("deployment_status", {"deployment": made, "deployment_status": {"state": "success"}}),
        ]
    else:
        where = {"project": {"path_with_namespace": "team/shop"}}
        request = {"source_branch": "nightdesk/INC-1", "iid": 1}
        note = {
            "id": 3,
            "note": "why?",
            "noteable_type": "MergeRequest",
            "created_at": "2026-11-21 10:00:00 UTC",
        }
        sent = [
            ("n", {"object_kind": "note", "object_attributes": note, "merge_request": request, "user": {"username": "ann"}}),
            ("p", {"object_kind": "pipeline", "object_attributes": {"id": 4, "ref": "nightdesk/INC-1", "status": "failed"}}),
            ("d", {"object_kind": "deployment", "status": "success", "ref": "v7", "sha": head, "environment": "production"}),
        ]  # fmt: skip
    answers = []
    for event, told in sent:
        body = json.dumps({**told, **where}).encode()
        answers.append(await post(desk, forge, body, signed(forge, event, body, secret_of(desk))))
    assert [answer.json() for answer in answers] == [
        {"moved": [], "kept": 1}, {"moved": [], "kept": 1}, {"releases": ["v7"]},
    ]  # fmt: skip
    kept = {(one.kind, one.who, one.outcome) for _, one in following.feedback(desk.database, "INC-1")}
    assert kept == {("comment", "ann", ""), ("check", "", "failure" if forge.kind == "github" else "failed")}
    found = queries.release(desk.database, "default", "v7")
    assert found is not None
    assert found.commits == {"shop": head}
