"""Reviews that ask for a change: whose word counts, the fix changed, pushed as a further commit, answered once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.kill_table import make_world
from fixloop.forges.commits import all_ours, signed
from fixloop.forges.rest import Api
from fixloop.sandboxes import best
from server.cli import cli
from server.config import load
from server.drafts import lifecycle
from server.drafts.approvals import open_drafts
from server.house import House
from server.repairs import answering
from server.repairs.reviewing import answer_reviews, listen
from server.repairs.suggestions import Suggestion, applied, suggested
from server.work.judging import advanced
from server.work.worker import Worker
from store import following, journal, queries, submissions, tasks
from store.errors import NotFound, Unavailable
from store.project import RepositoryConfig
from store.repair import Attempt, Submission, Validation, ValidationVerdict
from tests.contracts.nightdesk_contracts.messages_api import serving as model_of
from tests.contracts.nightdesk_contracts.messages_api import text as words
from tests.forges.fake import Fake, FakeGitHub, serving

BY_MODEL = {
    "repo": "till", "path": "till/coupons.py", "old": '    return order["coupon"]', "new": '    return order.get("coupon") or 0',
}  # fmt: skip
SUGGESTED = "Three is right.\n```suggestion\na = 3\n```\n"


@pytest.fixture
def opened(desk: House, forge: Fake, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house with an open draft. The judge, who has nothing to run here, takes what has a 3 and refuses all else."""

    def judged(house: House, submission: Submission) -> Submission:
        assert submission.patch is not None
        right = "a = 3" in submission.patch.diffs["shop"]
        told = (
            Validation(verdict=ValidationVerdict.PROVEN, fails_before=(9, 9), passes_after=(9, 9))
            if right
            else Validation(verdict=ValidationVerdict.REFUSED, rule="new_network", said="it opens a socket")
        )
        return submission.model_copy(update={"validation": told, "ended_at": datetime.now(UTC)})

    monkeypatch.setattr(answering, "judged", judged)
    monkeypatch.setattr(answering, "_keep_file", lambda *told: None)
    open_drafts(desk, "INC-1", by="ann")
    return desk


def to_its_end(house: House, step: Callable[[House, Submission], Submission] = advanced) -> list[Submission]:
    """Do all that was taken up, as the durable engine does: each step on what was kept of the one before."""
    for _ in range(40):
        one = submissions.take(house.database, "INC-1", "run")
        if one is None:
            break
        assert submissions.keep(house.database, step(house, one), "run")
    return submissions.of_incident(house.database, "INC-1")


def attempt_of(house: House) -> Attempt:
    found = queries.latest_attempt(house.database, "INC-1")
    assert found is not None
    return found


def test_a_suggestion_of_somebody_who_may_write_changes_the_fix_and_is_answered_in_its_thread(
    opened: House, forge: Fake
) -> None:
    forge.comment_on(31, "ann", SUGGESTED, line=2)
    heard = answer_reviews(opened, "INC-1", "bob")
    assert [one.asked.who for one in heard.taken if one.asked] == ["ann"]
    (done,) = to_its_end(opened)
    assert (done.pushed, done.ended_at is not None, done.said) == (True, True, "")
    branch = "nightdesk/INC-1"
    assert forge.git("show", f"{branch}:shop/rates.py") == "# rates\na = 3"
    assert forge.git("show", f"{branch}~1:shop/rates.py") == "# rates\na = 2"
    subjects = forge.git("log", "--format=%s", f"main..{branch}").splitlines()
    assert subjects[0] == "INC-1: as ann asked in the review"
    assert len(subjects) == 3
    (answer,) = forge.answers()
    assert answer.startswith("Nightdesk INC-1-p1, as ann asked:")
    assert "| passes after | 9 of 9 |" in answer
    after = attempt_of(opened)
    assert after.patch is not None
    assert after.proof is not None
    assert after.proof.patch == after.patch
    assert [len(revision.patch.diffs) for revision in after.revisions] == [1, 1]
    assert forge.unknown == []


def test_nothing_is_answered_or_pushed_twice_whatever_is_cut(
    opened: House, forge: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.comment_on(31, "ann", SUGGESTED, line=2)
    asked, left = Api.send, [0]

    def cut(self: Api, method: str, path: str, body: dict[str, object]) -> object:
        """What was sent arrives, and the line is cut before the answer."""
        told = asked(self, method, path, body)
        left[0] += 1
        if left[0] in {2, 9, 16, 17, 18}:
            raise Unavailable("the line is cut", retry=True)
        return told

    def patiently(house: House, submission: Submission) -> Submission:
        try:
            return advanced(house, submission)
        except Unavailable:
            return submission

    monkeypatch.setattr(Api, "send", cut)
    for _ in range(3):
        answer_reviews(opened, "INC-1", "bob")
        (done,) = to_its_end(opened, patiently)
    assert done.pushed
    assert len(forge.answers()) == 1
    assert forge.git("log", "--format=%s", "main..nightdesk/INC-1").count("\n") == 2
    assert open_drafts(opened, "INC-1", by="ann")[0].number == 1
    assert forge.git("show", "nightdesk/INC-1:shop/rates.py") == "# rates\na = 3"


def test_what_the_judge_refuses_is_answered_with_the_rule_and_changes_nothing(
    opened: House, forge: Fake
) -> None:
    before = forge.git("rev-parse", "nightdesk/INC-1")
    forge.comment_on(31, "ann", SUGGESTED.replace("3", "4 @team <!-- x -->"), line=2)
    answer_reviews(opened, "INC-1", "bob")
    (done,) = to_its_end(opened)
    assert not done.pushed
    assert forge.git("rev-parse", "nightdesk/INC-1") == before
    (answer,) = forge.answers()
    assert "refused (`new_network`)" in answer
    assert attempt_of(opened).revisions == ()


def test_only_the_word_of_people_who_may_write_counts_and_the_others_are_named(
    opened: House, forge: Fake
) -> None:
    forge.comment_on(31, "eve", SUGGESTED, line=2)
    forge.comment_on(32, "ann", "I like it.")
    heard = answer_reviews(opened, "INC-1", "bob")
    assert (heard.taken, heard.strangers) == ([], ["eve"])
    lifecycle.look_round(opened, datetime.now(UTC))
    assert {one.who for _, one in following.feedback(opened.database, "INC-1")} == {"eve", "ann"}
    known = {"NIGHTDESK_FORGES": f"{forge.address.removeprefix('http://')}={forge.kind}"}
    told = CliRunner().invoke(
        cli, ["draft", "INC-1", "--answer", "--data", str(opened.config.data)], env=known
    )
    assert told.exit_code == 3, told.output
    assert "eve has no right to write" in told.stdout


def test_a_comment_that_begins_with_the_word_is_taken_up_by_itself_and_once(
    opened: House, forge: Fake
) -> None:
    forge.comment_on(31, "ann", f"Nightdesk: {SUGGESTED}", line=2)
    forge.comment_on(33, "eve", f"nightdesk: {SUGGESTED}", line=2)
    forge.comment_on(34, "ann", "nightdesk: make it nicer")
    look = partial(lifecycle.look_round, listen=listen)
    look(opened, datetime.now(UTC))
    look(opened, datetime.now(UTC) + timedelta(minutes=6))
    done = to_its_end(opened)
    look(opened, datetime.now(UTC) + timedelta(minutes=12))
    assert sorted((one.asked.source, one.pushed) for one in done if one.asked) == [
        ("comment 31", True),
        ("comment 34", False),
    ]
    assert len(submissions.of_incident(opened.database, "INC-1")) == 2
    first, second = sorted(forge.answers())
    assert "is the newest commit" in first + second
    assert "no model to ask" in first + second
    assert forge.unknown == []


def test_comments_beyond_the_first_hundred_are_read(opened: House, forge: Fake) -> None:
    for number in range(1000, 1130):
        forge.comment_on(number, "ann", f"remark {number}")
    lifecycle.look_round(opened, datetime.now(UTC))
    assert len(following.feedback(opened.database, "INC-1")) == 130


def test_a_branch_of_an_earlier_proposal_is_made_anew_unless_somebody_else_has_worked_on_it(
    desk: House, forge: Fake
) -> None:
    (first,) = open_drafts(desk, "INC-1", by="ann")
    attempt = attempt_of(desk)
    assert attempt.patch is not None
    other = attempt.patch.model_copy(
        update={"diffs": {"shop": attempt.patch.diffs["shop"].replace("+a = 2", "+a = 5")}}
    )
    assert attempt.proof is not None
    proof = attempt.proof.model_copy(update={"id": "e" * 64})
    fresh = attempt.model_copy(update={"patch": other, "proof": proof, "drafts": ()})
    journal.keep_attempt(desk.database, fresh)
    (second,) = open_drafts(desk, "INC-1", by="ann")
    assert second.number == first.number
    assert forge.git("show", "nightdesk/INC-1:shop/rates.py") == "# rates\na = 5"
    assert forge.git("log", "--format=%s", "main..nightdesk/INC-1").count("\n") == 1
    tree = forge.git("rev-parse", "nightdesk/INC-1^{tree}")
    theirs = forge.git("commit-tree", tree, "-p", "refs/heads/nightdesk/INC-1", "-m", "A person's work")
    forge.git("update-ref", "refs/heads/nightdesk/INC-1", theirs)
    journal.keep_attempt(desk.database, attempt.model_copy(update={"drafts": ()}))
    with pytest.raises(Unavailable, match="commits of somebody else"):
        open_drafts(desk, "INC-1", by="ann")
    assert forge.git("rev-parse", "nightdesk/INC-1") == theirs


def test_a_draft_that_is_closed_takes_up_no_review(opened: House, forge: Fake) -> None:
    forge.comment_on(31, "ann", SUGGESTED, line=2)
    answer_reviews(opened, "INC-1", "bob")
    attempt = attempt_of(opened)
    closed = tuple(draft.model_copy(update={"state": "closed"}) for draft in attempt.drafts)
    journal.keep_attempt(opened.database, attempt.model_copy(update={"drafts": closed}))
    (done,) = to_its_end(opened)
    assert (done.pushed, "not open any more" in done.said) == (False, True)
    assert forge.answers() == []
    with pytest.raises(NotFound, match="no draft of a fix"):
        answer_reviews(opened, "INC-1", "bob")


@pytest.mark.parametrize(
    ("comment", "wanted"),
    [
        ("x\n```suggestion\na\nb\n```\ny", Suggestion("a\nb\n")),
        ("```suggestion:-1+2\r\na\r\n```", Suggestion("a\n", 1, 2)),
        ("````suggestion\n```\n````", Suggestion("```\n")),
        ("```suggestion\n```", Suggestion("")),
        ("```python\na\n```", None),
        ("```suggestion\na", None),
    ],
)
def test_the_first_block_of_suggested_lines_is_read_and_nothing_else(
    comment: str, wanted: Suggestion | None
) -> None:
    assert suggested(comment) == wanted


def test_suggested_lines_take_the_place_of_those_that_the_comment_stands_on() -> None:
    text = "1\n2\n3\n"
    assert applied(text, Suggestion("x\n"), 2, 2) == "1\nx\n3\n"
    assert applied(text, Suggestion(""), 1, 2) == "3\n"
    assert applied(text, Suggestion("x\n", 1, 1), 2, 2) == "x\n"
    assert applied("1\r\n2\r\n", Suggestion("x\n"), 1, 1) == "x\r\n2\r\n"
    assert applied(text, Suggestion("x\n"), 3, 9) is None
    assert applied(text, Suggestion("x\n", 9, 0), 2, 2) is None


def test_a_branch_is_ours_only_if_each_of_its_commits_says_so_at_its_end() -> None:
    ours = signed("The fix\n\nbody", "INC-1")
    assert ours.endswith("\n\nNightdesk-Incident: INC-1\n")
    assert signed(ours, "INC-1") == ours
    assert all_ours([ours, ours.strip()], "nightdesk/INC-1")
    assert not all_ours([ours], "nightdesk/INC-2")
    assert not all_ours([ours, "Nightdesk-Incident: INC-1\n\nMine"], "nightdesk/INC-1")
    assert not all_ours([], "nightdesk/INC-1")


@pytest.mark.sandbox
@pytest.mark.heavy
def test_a_real_fix_is_changed_as_a_review_suggests_judged_and_pushed_by_the_durable_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it: a real repair, a draft on the fake forge, a suggestion that holds, one that does not, and a wish
    in words, which goes to a model."""
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    data = make_world(tmp_path)
    monkeypatch.setenv("NIGHTDESK_GITHUB_TOKEN", Fake.TOKEN)
    monkeypatch.setenv("NIGHTDESK_RUNS", "20")
    with serving(FakeGitHub(tmp_path / "till" / ".git")) as forge:
        monkeypatch.setenv("NIGHTDESK_FORGES", f"{forge.address.removeprefix('http://')}=github")
        with House.open(load(data)) as house:
            row = RepositoryConfig(
                name="till", project="default", url=f"{forge.address}/team/shop.git", config={"source_roots": ["."]}
            )  # fmt: skip
            journal.add_repository(house.database, row)
            tasks.request_repair(house.database, "INC-1")
            with Worker(house) as worker:
                assert worker.wait_until_idle(240)
                (draft,) = open_drafts(house, "INC-1", by="ann")
                fixed = forge.git("show", f"{draft.branch}:till/coupons.py")
                line = next(n for n, text in enumerate(fixed.splitlines(), 1) if "coupon" in text)
                for number, text in ((41, "    return order.get('coupon', 0)"), (42, "    return 0")):
                    forge.comment_on(number, "ann", f"nightdesk: so\n```suggestion\n{text}\n```\n", line)
                    forge.on_code[-1]["path"] = "till/coupons.py"
                partial(lifecycle.look_round, listen=listen)(house, datetime.now(UTC))
                assert worker.wait_until_idle(240)
        with model_of(
            [words(json.dumps({"edits": [BY_MODEL], "rationale": "None counts as none, too."}))]
        ) as api:
            monkeypatch.setenv("ANTHROPIC_API_KEY", "scripted")
            monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
            with House.open(load(data)) as house, Worker(house) as worker:
                forge.comment_on(43, "ann", "nightdesk: what of an order whose coupon is None?", line)
                forge.on_code[-1]["path"] = "till/coupons.py"
                partial(lifecycle.look_round, listen=listen)(house, datetime.now(UTC) + timedelta(hours=1))
                assert worker.wait_until_idle(240)
                first, second, third = submissions.of_incident(house.database, "INC-1")
                asked = queries.latest_attempt(house.database, "INC-1")
            api.finish()
    assert forge.unknown == []
    assert third.validation is not None, third.said
    assert third.patch is not None
    assert "or 0" in third.patch.diffs["till"]
    assert third.pushed == (third.validation.verdict is ValidationVerdict.PROVEN)
    assert b"whose coupon is None?" in api.raw[0]
    assert asked is not None
    assert [step.name for step in asked.steps if "model" in step.details] == ["review"]
    assert first.validation is not None, first.said
    assert second.validation is not None, second.said
    assert len(forge.answers()) == 3
    assert (second.pushed, second.validation.verdict) != (True, ValidationVerdict.PROVEN)
    assert first.pushed == (first.validation.verdict is ValidationVerdict.PROVEN)
    assert first.pushed, first.validation
