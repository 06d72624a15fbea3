"""Telling people and programs: what is told and what is not, quiet hours, digests, signatures, failures, no secrets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.config import BadConfiguration, load
from server.house import House
from server.ingest.senders import check_signature
from server.notices.apprising import send as apprised
from server.notices.telling import TRIES, plain_line, targets, tell_round
from server.operating.checks import State, configuration, examine
from server.quiet import quiet_of
from store import journal, notices, queries
from store.errors import Unavailable
from store.incident import Lane, Status
from tests.journeys import mcp_samples as samples

HOSTILE = "<!channel> @everyone [pay](https://evil.example) `rm -rf` \u202e\u200b www.evil.example"
Message = tuple[str, str, str]


class Outbox:
    """Takes messages for people; `down` makes it refuse them."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.down = False

    def __call__(self, address: str, title: str, text: str) -> None:
        if self.down:
            raise Unavailable("the service did not take the message", retry=True)
        self.sent.append((address, title, text))


@contextmanager
def listening(status: int = 200) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """An address that takes webhooks, and what came: path, headers, body."""
    came: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append((self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", came
        finally:
            server.shutdown()
            thread.join(timeout=30)


@contextmanager
def desk(tmp_path: Path, **settings: Any) -> Iterator[House]:
    environ = {f"NIGHTDESK_{name.upper()}": str(value) for name, value in settings.items()}
    with House.open(load(tmp_path / "data", environ)) as house:
        yield house


def focus(house: House, number: int = 1, **fields: Any) -> str:
    """A crash that comes into focus, by its incident's id."""
    (recorded,) = house.receive([samples.event(number, client_fingerprint=(f"print-{number}",), **fields)])
    journal.set_lane(house.database, recorded.incident_id, Lane.FOCUS, "ann", "")
    house.triage_incident(recorded.incident_id)
    return recorded.incident_id


def now() -> datetime:
    return datetime.now(UTC)


def test_an_incident_in_focus_is_told_once_however_often_it_is_triaged(tmp_path: Path) -> None:
    outbox = Outbox()
    with desk(tmp_path, notify="json://one.example") as house:
        name = focus(house)
        house.triage_incident(name)
        assert tell_round(house, now(), outbox) == 1
        assert tell_round(house, now(), outbox) == 0
        ((address, title, text),) = outbox.sent
    assert (address, title) == ("json://one.example", "INC-1 needs you")
    assert "KeyError" in text
    assert text.endswith("/incidents/INC-1")


def test_noise_and_what_is_muted_or_resolved_by_then_is_told_to_nobody(tmp_path: Path) -> None:
    outbox = Outbox()
    with desk(tmp_path, notify="json://one.example") as house:
        names = [focus(house, number) for number in range(1, 5)]
        journal.set_lane(house.database, names[0], Lane.NOISE, "ann", "")
        journal.set_status(house.database, names[1], Status.MUTED, "ann", "")
        journal.set_status(house.database, names[2], Status.RESOLVED, "ann", "")
        assert tell_round(house, now(), outbox) == 1
        assert outbox.sent[0][1] == f"{names[3]} needs you"
        told = notices.deliveries(house.database)
    assert [one.said for one in told].count("it is noise, muted or settled by now") == 3


def test_what_is_not_asked_for_is_not_told(tmp_path: Path) -> None:
    outbox = Outbox()
    with desk(tmp_path, notify="json://one.example", notify_about="recurrence") as house:
        name = focus(house)
        assert tell_round(house, now(), outbox) == 0
        journal.set_status(house.database, name, Status.RESOLVED, "ann", "")
        house.keep([samples.event(2, client_fingerprint=("print-1",))])
        assert tell_round(house, now(), outbox) == 1
    assert outbox.sent[0][1] == "INC-1 is back"


def test_a_proven_fix_is_told_with_what_has_become_of_its_draft(tmp_path: Path) -> None:
    outbox = Outbox()
    with desk(tmp_path, notify="json://one.example", notify_about="proven") as house:
        focus(house)
        attempt = samples.attempt_with(house, "INC-1", "said")
        journal.keep_attempt(house.database, attempt)
        assert tell_round(house, now(), outbox) == 0, "its draft may open any moment"
        assert tell_round(house, now() + timedelta(minutes=1), outbox) == 1
        (first,) = attempt.drafts
        opened = first.model_copy(update={"url": "https://forge.example/pull/1"})
        again = samples.attempt_with(house, "INC-1", "said").model_copy(update={"drafts": (opened,)})
        journal.keep_attempt(house.database, again)
        tell_round(house, now(), outbox)
        tell_round(house, now() + timedelta(minutes=1), outbox)
    assert "Its draft waits for a person." in outbox.sent[0][2]
    assert "Draft: https://forge.example/pull/1" in outbox.sent[1][2]


def test_what_happens_in_quiet_hours_comes_as_one_message_afterwards(tmp_path: Path) -> None:
    outbox = Outbox()
    start = now()
    hours = f"{start - timedelta(hours=1):%H:%M}-{start + timedelta(hours=2):%H:%M}"
    with desk(tmp_path, notify="json://one.example", quiet_hours=hours) as house:
        for number in (1, 2, 3):
            focus(house, number)
        assert tell_round(house, start, outbox) == 0
        assert tell_round(house, start + timedelta(hours=1), outbox) == 0
        assert tell_round(house, start + timedelta(hours=2, minutes=1), outbox) == 3
    ((_, title, text),) = outbox.sent
    assert title == "3 incidents need a look"
    assert [f"INC-{number}" in text for number in (1, 2, 3)] == [True] * 3


def test_a_digest_collects_for_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    outbox, start = Outbox(), now()
    with desk(tmp_path, notify="json://one.example", digest_minutes=30) as house:
        focus(house, 1)
        tell_round(house, start, outbox)
        focus(house, 2)
        tell_round(house, start, outbox)
        assert outbox.sent == []
        assert tell_round(house, start + timedelta(minutes=31), outbox) == 2
    assert len(outbox.sent) == 1


def test_a_failure_is_tried_again_later_and_later_until_it_is_given_up_and_doctor_says_so(
    tmp_path: Path,
) -> None:
    outbox, at = Outbox(), now()
    outbox.down = True
    with desk(tmp_path, notify="json://one.example") as house:
        focus(house)
        waits = []
        for _ in range(TRIES):
            tell_round(house, at, outbox)
            (one,) = notices.deliveries(house.database)
            waits.append((one.next_at or at) - at)
            at = one.next_at or at
        assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
        assert (one.next_at, one.sent_at) == (None, None)
        assert one.said.startswith(f"given up after {TRIES} tries")
        outbox.down = False
        assert tell_round(house, at + timedelta(days=1), outbox) == 0
        (check,) = [check for check in examine(house) if check.part == "notices"]
    assert check.state is State.BROKEN
    assert "did not take the message" in check.said


def test_a_worker_that_dies_while_it_sends_leaves_the_notice_to_the_next_one(tmp_path: Path) -> None:
    outbox = Outbox()
    with desk(tmp_path, notify="json://one.example") as house:
        focus(house)

        def dies(address: str, title: str, text: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tell_round(house, now(), dies)
        assert tell_round(house, now(), outbox) == 0, "somebody has it, as far as one can tell"
        assert tell_round(house, now() + notices.CLAIM + timedelta(seconds=1), outbox) == 1


def test_programs_get_signed_json_at_once_and_each_notice_by_itself(tmp_path: Path) -> None:
    with listening() as (address, came):
        hours = f"{now() - timedelta(hours=1):%H:%M}-{now() + timedelta(hours=2):%H:%M}"
        with desk(tmp_path, webhooks=f"{address}/in", quiet_hours=hours) as house:
            focus(house, 1)
            focus(house, 2)
            assert tell_round(house, now()) == 2
            key = queries.keys(house.database, "default")[0].key
    for _, headers, body in came:
        assert check_signature(headers["X-Nightdesk-Signature"], body, [key], time.time()) == key
    told = [json.loads(body) for _, _, body in came]
    assert [(one["kind"], one["incident"]) for one in told] == [("focus", "INC-1"), ("focus", "INC-2")]
    assert [headers["X-Nightdesk-Delivery"] for _, headers, _ in came] == [str(one["id"]) for one in told]


def test_a_pipeline_is_started_in_the_shape_that_its_forge_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTDESK_GITHUB_TOKEN", "forge-token")
    with listening() as (address, came):
        hooks = (
            f"{address}/repos/team/shop/dispatches",
            f"{address}/api/v4/projects/7/trigger/pipeline?token=t&ref=main",
        )
        with desk(tmp_path, webhooks=" ".join(hooks)) as house:
            focus(house)
            assert tell_round(house, now()) == 2
    (github, gitlab) = sorted(came, key=lambda one: "trigger" in one[0])
    assert json.loads(github[2])["event_type"] == "nightdesk-focus"
    assert json.loads(github[2])["client_payload"]["incident"] == "INC-1"
    assert github[1]["Authorization"] == "Bearer forge-token"
    assert json.loads(gitlab[2])["variables"]["NIGHTDESK_INCIDENT"] == "INC-1"
    assert "Authorization" not in gitlab[1]


def test_a_receiver_that_says_no_is_tried_again(tmp_path: Path) -> None:
    with listening(500) as (address, came), desk(tmp_path, webhooks=address) as house:
        focus(house)
        assert tell_round(house, now()) == 0
        assert tell_round(house, now() + timedelta(minutes=1)) == 0
        (one,) = notices.deliveries(house.database)
    assert (len(came), one.tries, one.said) == (2, 2, "it answers 500")


def test_event_text_comes_redacted_and_without_what_a_chat_acts_on(tmp_path: Path) -> None:
    outbox = Outbox()
    secret = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    raised = samples.event().exceptions[0].model_copy(update={"value": f"{HOSTILE} {secret}"})
    with desk(tmp_path, notify="json://one.example") as house:
        focus(house, exceptions=(raised,))
        tell_round(house, now(), outbox)
    text = outbox.sent[0][2]
    assert secret not in text
    for piece in ("<!", "@everyone", "](", "`", "\u202e", "\u200b", "https://evil", "www."):
        assert piece not in text.replace(text.rsplit("\n", 1)[1], ""), piece
    assert "\n" not in plain_line("one\ntwo")


def test_addresses_hold_secrets_and_are_shown_to_nobody(tmp_path: Path) -> None:
    settings = {"notify": "slack://T0KEN/SECRET/abc", "webhooks": "https://ann:pass@hook.example/x?key=KEY"}
    with desk(tmp_path, **settings) as house:
        shown = " ".join(target.shown for target in targets(house.config))
        shown += " ".join(check.said for check in [*configuration(house.config), *examine(house)])
    for secret in ("T0KEN", "SECRET", "pass", "key=KEY"):
        assert secret not in shown
    assert "hook.example" in shown


def test_apprise_itself_carries_a_message_to_an_address(tmp_path: Path) -> None:
    with listening() as (address, came):
        apprised(address.replace("http://", "json://"), "INC-1 needs you", "a line")
        with pytest.raises(Unavailable, match="does not know such an address"):
            apprised("nonsense-without-a-scheme", "t", "x")
    assert json.loads(came[0][2])["message"] == "a line"
    assert json.loads(came[0][2])["title"] == "INC-1 needs you"


def test_notify_test_says_of_each_target_whether_it_was_reached(tmp_path: Path) -> None:
    with listening() as (good, came), listening(403) as (bad, _):
        environ = {"NIGHTDESK_NOTIFY": good.replace("http", "json"), "NIGHTDESK_WEBHOOKS": bad}
        done = CliRunner().invoke(
            cli, ["notify", "test", "--json", "--data", str(tmp_path / "d")], env=environ
        )
    assert done.exit_code == 3
    assert [(one["arrived"], one["said"]) for one in json.loads(done.stdout)] == [
        (True, None),
        (False, "it answers 403"),
    ]
    assert len(came) == 1


@pytest.mark.parametrize(
    ("text", "at", "until"),
    [
        ("22:00-07:00", "2026-11-20T23:30+00:00", "2026-11-21T07:00+00:00"),
        ("22:00-07:00", "2026-11-21T06:59+00:00", "2026-11-21T07:00+00:00"),
        ("22:00-07:00", "2026-11-21T07:00+00:00", None),
        ("12:00-13:00", "2026-11-21T12:30+00:00", "2026-11-21T13:00+00:00"),
        ("12:00-13:00 Europe/Berlin", "2026-07-01T10:30+00:00", "2026-07-01T11:00+00:00"),
        ("22:00-07:00 Europe/Berlin", "2026-10-24T23:00+00:00", "2026-10-25T06:00+00:00"),  # an hour longer
    ],
)
def test_quiet_hours_end_by_the_clocks_of_their_zone(text: str, at: str, until: str | None) -> None:
    quiet = quiet_of(text)
    assert quiet is not None
    assert quiet.until(datetime.fromisoformat(at)) == (until and datetime.fromisoformat(until))


@pytest.mark.parametrize("text", ["late", "25:00-07:00", "07:00-07:00", "22:00-07:00 Nowhere/City"])
def test_quiet_hours_that_are_none_are_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfiguration, match="quiet_hours"):
        load(tmp_path, {"NIGHTDESK_QUIET_HOURS": text})
