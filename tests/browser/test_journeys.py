"""What people do on the pages, in a real browser: live, once, by the right person, by keys alone, without scripts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Route, expect

from server.web.passwords import encoded
from store import journal, logins, queries
from store.incident import Lane, Status, Step
from tests.browser.conftest import Desk
from tests.browser.night import HOSTILE
from tests.journeys import mcp_samples as samples

pytestmark = [pytest.mark.heavy]
SOON = 60_000  # milliseconds in which something live has to be there


def branches(desk: Desk) -> list[str]:
    """The branches that were drafted in the team's repository."""
    told = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname:short)", "refs/heads/nightdesk"], cwd=desk.clone,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return told.stdout.split()


def test_the_first_event_appears_live_on_the_page_that_waits_for_it(desk: Desk) -> None:
    journal.add_project(desk.house.database, "fresh", "setup")
    page = desk.open("/connect?project=fresh")
    expect(page.locator("#live")).to_contain_text("Waiting for the first event")
    desk.house.receive([samples.event(50, project="fresh")])
    expect(page.locator("#live")).to_contain_text("Events arrive", timeout=SOON)
    assert "KeyError" in page.locator("#live a").inner_text()


def test_a_page_goes_live_also_where_the_last_of_its_scripts_comes_late(desk: Desk) -> None:
    journal.add_project(desk.house.database, "fresh", "setup")
    page = desk.context().new_page()
    held: list[Route] = []
    page.route("**/hx-sse.min.js", lambda route: held.append(route))
    with page.expect_event("requestfinished", lambda asked: asked.url.endswith("/htmx.min.js")):
        page.goto("/connect?project=fresh", wait_until="commit")
    page.evaluate(
        "new Promise((done) => setTimeout(done, 100))"
    )  # what htmx puts off to its next turn is done
    assert held, "the last of the scripts is not asked for"
    held[0].continue_()
    desk.house.receive([samples.event(50, project="fresh")])
    expect(page.locator("#live")).to_contain_text("Events arrive", timeout=SOON)


def test_triage_and_repair_appear_live_and_nothing_is_lost_between_two_streams(desk: Desk) -> None:
    page = desk.open("/incidents/INC-3")
    page.evaluate("window.stayed = true")
    page.locator("#trace .vars summary").first.click()
    desk.house.triage_incident("INC-3")
    expect(page.locator("#triage-steps")).to_contain_text("prioritise", timeout=SOON)
    run = journal.start_attempt(desk.house.database, "INC-3")
    step = Step(name="reproduce", started_at=datetime.now(UTC), took=1.5, said="It fails the same way.")
    journal.note_step(desk.house.database, run.id, step)
    expect(page.locator("#repair-steps")).to_contain_text("It fails the same way.", timeout=SOON)
    expect(page.locator(".running")).to_contain_text("A repair is under way")
    page.context.set_offline(True)
    journal.note_step(
        desk.house.database, run.id, step.model_copy(update={"name": "causes", "said": "Found it."})
    )
    page.context.set_offline(False)
    expect(page.locator("#repair-steps")).to_contain_text("Found it.", timeout=SOON)
    assert page.evaluate("window.stayed") is True
    assert page.locator("#trace .vars").first.get_attribute("open") is not None  # what was opened stays open


def test_the_button_opens_one_draft_even_when_it_is_pressed_twice(desk: Desk) -> None:
    context = desk.logged_in("responder")
    first, second = desk.open("/incidents/INC-1", context), desk.open("/incidents/INC-1", context)
    expect(first.locator("#draft")).to_contain_text("would be pushed")
    assert branches(desk) == []
    first.get_by_role("button", name="Open the draft").dblclick()
    second.get_by_role("button", name="Open the draft").click()
    for page in (first, second):
        expect(page.locator("#draft")).to_contain_text("approved by responder", timeout=SOON)
    assert branches(desk) == ["nightdesk/INC-1"]
    attempt = queries.latest_attempt(desk.house.database, "INC-1")
    assert attempt is not None
    assert [draft.approved_by for draft in attempt.drafts] == ["responder"]


def test_a_draft_that_asks_is_approved_by_a_responder_who_is_logged_in_and_nobody_else(desk: Desk) -> None:
    nobody = desk.open("/incidents/INC-1")
    nobody.get_by_role("button", name="Open the draft").click()
    expect(nobody).to_have_url(re.compile("/login"))
    viewer = desk.open("/incidents/INC-1", desk.logged_in("viewer"))
    expect(viewer.locator("#answer")).to_contain_text("A responder can open the draft")
    assert viewer.get_by_role("button", name="Open the draft").count() == 0
    assert viewer.locator("#word").count() == 0
    assert branches(desk) == []


def test_incidents_are_merged_split_and_assigned_and_each_is_undone(desk: Desk) -> None:
    database = desk.house.database
    page = desk.open("/incidents/INC-1", desk.logged_in("responder"))
    page.get_by_label("Owner").fill("Ann")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator(".head")).to_contain_text("Ann")
    page.locator(".done").get_by_role("button", name="Undo").click()
    expect(page.locator(".head")).not_to_contain_text("Ann")
    page.get_by_label("The same as").fill("INC-3")
    page.get_by_role("button", name="Merge it into this").click()
    expect(page.locator(".head")).to_contain_text("with INC-3")
    assert queries.incident(database, "INC-3").id == "INC-1"
    page.locator(".done").get_by_role("button", name="Undo").click()
    expect(page.locator(".head")).not_to_contain_text("with INC-3")
    page.get_by_label("Several problems, told apart by").select_option("release")
    page.get_by_role("button", name="Split").click()
    expect(page.locator(".done")).to_contain_text("split of INC-1")
    assert queries.incident(database, "INC-1").event_count < 5
    page.locator(".done").get_by_role("button", name="Undo").click()
    expect(page.locator("#acts")).to_contain_text("undo")
    assert queries.incident(database, "INC-1").event_count == 5


def test_what_was_not_noise_comes_back_and_can_be_set_aside_again(desk: Desk) -> None:
    page = desk.open("/noise", desk.logged_in("responder"))
    page.get_by_role("button", name=re.compile("This was not noise.*INC-4")).click()
    expect(page.locator(".done")).to_contain_text("INC-4")
    assert queries.incident(desk.house.database, "INC-4").lane is Lane.BACKLOG
    page.locator(".done").get_by_role("button", name="Undo").click()
    expect(page.locator("main")).to_contain_text("INC-4")
    assert queries.incident(desk.house.database, "INC-4").lane is Lane.NOISE


def test_keys_alone_lead_from_the_list_to_an_incident_and_back(desk: Desk) -> None:
    page = desk.open("/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    focused = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("h1").inner_text()[:20] in focused
    page.keyboard.press("/")
    page.keyboard.type("ValueError ?j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/search"))
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("h1")).to_have_text("Words and keys")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.locator("h1")).to_have_text("What to focus on")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_everything_is_there_without_scripts(desk: Desk) -> None:
    page = desk.open("/", desk.logged_in("responder", java_script_enabled=False))
    page.get_by_role("link", name=re.compile("INC-1 ")).click()
    expect(page.locator("#patch .diff")).to_contain_text("a = 2")
    page.get_by_role("button", name="It is resolved").click()
    expect(page.locator(".done")).to_contain_text("resolved")
    assert queries.incident(desk.house.database, "INC-1").status is Status.RESOLVED
    page.locator(".done").get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Open the draft").click()
    expect(page.locator("#draft")).to_contain_text("approved by responder")
    page.goto("/health?look=1")
    expect(page.locator("main")).to_contain_text("sandbox")


def test_beyond_loopback_a_person_logs_in_and_sees_what_their_role_allows(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(host="0.0.0.0")  # noqa: S104 - the setting; the test serves it on loopback
    logins.set_password(desk.house.database, "viewer", encoded("correct horse battery"))
    page = desk.open("/incidents/INC-1?x=1")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/incidents/INC-1\?x=1$"))
    page.goto("/settings")
    expect(page.locator("main")).to_contain_text("Keys, people and tokens are for admins")
    assert page.get_by_role("button", name="Add").count() == 0
    assert queries.keys(desk.house.database, "default")[0].key not in page.content()
    admin = desk.open("/settings", desk.logged_in("admin"))
    admin.get_by_label("New project").fill("billing")
    admin.locator("#projects .line").get_by_role("button", name="Add").click()
    expect(admin.locator("#projects")).to_contain_text("billing")
    page.get_by_role("button", name="Log out").click()
    page.goto("/")
    expect(page).to_have_url(re.compile("/login"))


def test_text_that_attacks_from_every_field_stays_text(desk: Desk) -> None:
    def looked(page: Page) -> None:
        page.wait_for_load_state("load")
        assert (
            page.evaluate("document.querySelectorAll('img, [onload], [onerror], [hx-get=\"/evil\"]').length")
            == 0
        )
        assert "<script>alert(1)</script>" in page.inner_text("body")

    context = desk.logged_in(None)
    journal.assign(desk.house.database, "INC-2", HOSTILE[:90], "setup")
    for path in ("/", "/incidents/INC-2", "/search?q=alert"):
        page = desk.open(path, context)
        looked(page)
        page.close()
    live = desk.open("/incidents/INC-2", context)
    journal.assign(desk.house.database, "INC-2", "<img src=x onerror=alert(9)>", "setup")
    expect(live.locator(".head")).to_contain_text("onerror=alert(9)", timeout=SOON)
    looked(live)


def test_copying_gives_the_command_and_the_markdown(desk: Desk) -> None:
    context = desk.logged_in(None, permissions=["clipboard-read", "clipboard-write"])
    page = desk.open("/incidents/INC-1", context)
    page.get_by_role("button", name="Copy Command for Claude Code").click()
    assert page.evaluate("navigator.clipboard.readText()") == "claude '/mcp__nightdesk__fix INC-1'"
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator("[data-copy-from]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("# INC-1")
