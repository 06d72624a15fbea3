"""Logging in: links that work once, passwords that are slow to guess, sessions that end; grants and their page."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.cli.serve import welcome
from server.house import House
from server.operating.presence import announced
from server.web.passwords import encoded, fits
from store import accounts, grants, logins
from store.errors import BadPayload
from store.people import Role
from tests.journeys.oauth_samples import ADDRESS, Desk, answer_of, desk, forms_of

pytestmark = pytest.mark.anyio
WORDS = "correct horse battery"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def logged_in_as(one: Desk) -> str | None:
    """Whose session the browser has, as the page of grants says it."""
    page = await one.browser.get("/settings/grants")
    return page.text.partition("<strong>")[2].partition("</strong>")[0] if page.status_code == 200 else None


async def by_password(one: Desk, name: str, password: str, **changed: str) -> Any:
    (form, *_) = [
        form for form in forms_of(await one.browser.get("/login", params=changed)) if form.action == "/login"
    ]
    return await one.send("/login", [*form.fields, ("name", name), ("password", password)])


async def test_a_link_logs_in_once_and_only_for_an_hour(house: House) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    async with desk(house) as one:
        link = logins.create_link(house.database, "ada", one.clock())
        first = await one.browser.get("/login", params={"link": link})
        assert first.status_code == 303
        assert await logged_in_as(one) == "ada"
        one.browser.cookies.clear()
        again = await one.browser.get("/login", params={"link": link})
        assert again.status_code == 403
        assert "nightdesk user link" in again.text
        old = logins.create_link(house.database, "ada", one.clock())
        one.clock.forward(hours=1)
        assert (await one.browser.get("/login", params={"link": old})).status_code == 403
        assert await logged_in_as(one) is None


async def test_a_link_that_another_site_leads_to_asks_before_it_logs_in(house: House) -> None:
    async with desk(house) as one:
        link = logins.create_link(house.database, None, one.clock())
        await one.browser.head("/login", params={"link": link})
        await one.browser.get("/login", params={"link": link}, headers={"Sec-Purpose": "prefetch"})
        asked = await one.browser.get(
            "/login", params={"link": link}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert asked.status_code == 200
        assert await logged_in_as(one) is None
        (form,) = forms_of(asked)
        assert (await one.send(form.action, form.fields)).status_code == 303
        assert await logged_in_as(one) == "operator"


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House) -> None:
    async with desk(house) as one:
        cookie = (await one.log_in()).headers["set-cookie"]
        form = (await one.browser.get("/login")).headers["set-cookie"]
    for text in (cookie, form):
        assert "HttpOnly" in text
        assert "SameSite=lax" in text
    house.config = house.config.model_copy(update={"public_url": "https://desk.example"})
    async with desk(house) as one:
        secured = (await one.log_in()).headers["set-cookie"]
    assert secured.startswith("__Host-")
    assert "Secure" in secured


async def test_a_password_logs_in_and_leads_back_to_what_was_wanted(house: House) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    logins.set_password(house.database, "ada", encoded(WORDS))
    async with desk(house) as one:
        await one.assistant.register()
        login = (await one.page()).headers["location"]
        (form,) = forms_of(await one.browser.get(login))
        sent = await one.send("/login", [*form.fields, ("name", "ada"), ("password", WORDS)])
        assert sent.status_code == 303
        page = await one.browser.get(sent.headers["location"])
        assert "<dd>ada</dd>" in page.text
        answer = answer_of(await one.decide(page))
        pair = (await one.assistant.redeem(answer["code"])).json()
        assert (await one.assistant.knock(pair["access_token"])).status_code == 200


async def test_who_logs_in_by_a_link_in_another_window_goes_on_where_they_were(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        waiting = await one.browser.get((await one.page()).headers["location"])
        await one.log_in()
        on = unescape(waiting.text.partition('window? <a href="')[2].partition('"')[0])
        page = await one.browser.get(on)
    assert on.startswith("/consent?")
    assert one.assistant.state in on
    assert "<dd>operator</dd>" in page.text


async def test_a_server_says_at_its_start_how_to_connect_and_to_log_in(house: House) -> None:
    said = welcome(house)
    assert f"claude mcp add --transport http nightdesk {ADDRESS}/mcp" in said
    link = re.search(rf"{ADDRESS}/login\?link=\S+", said)
    assert link
    async with desk(house) as one:
        assert (await one.browser.get(link.group())).status_code == 303
        assert await logged_in_as(one) == "operator"


async def test_a_wrong_name_and_a_wrong_password_are_told_apart_by_nobody(house: House) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    logins.set_password(house.database, "ada", encoded(WORDS))
    async with desk(house) as one:
        answers = [
            await by_password(one, *pair)
            for pair in (("ada", "x"), ("bob", WORDS), ("", ""), ("a" * 9999, "b"))
        ]
        assert [answer.status_code for answer in answers] == [403] * 4
        assert all("The name or the password is not right." in answer.text for answer in answers)
        assert await logged_in_as(one) is None
        away = await by_password(one, "ada", WORDS, next="//evil.example")
        assert away.headers["location"] == "/"


async def test_guesses_are_counted_across_processes_and_forgotten_after_a_while(house: House) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    logins.set_password(house.database, "ada", encoded(WORDS))
    async with desk(house) as one:
        assert [(await by_password(one, "ada", "wrong")).status_code for _ in range(10)] == [403] * 10
        assert (await by_password(one, "ada", WORDS)).status_code == 429
        assert (await one.log_in("ada")).status_code == 303
    async with desk(house) as other:
        assert (await by_password(other, "ada", WORDS)).status_code == 429
        other.clock.forward(minutes=16)
        assert (await by_password(other, "ada", WORDS)).status_code == 303


async def test_a_login_form_that_another_site_sends_is_refused(house: House) -> None:
    async with desk(house) as one:
        (form,) = forms_of(await one.browser.get("/login"))
        fields = [*form.fields, ("name", "ada"), ("password", WORDS)]
        across = await one.send("/login", fields, **{"Sec-Fetch-Site": "cross-site"})
        unmarked = await one.send("/login", [("name", "ada"), ("password", WORDS)])
        one.browser.cookies.clear()
        cookieless = await one.send("/login", fields)
    assert [answer.status_code for answer in (across, unmarked, cookieless)] == [403] * 3
    assert "not right" not in across.text + unmarked.text + cookieless.text


async def test_a_session_ends_by_logging_out_by_time_and_with_a_new_password(house: House) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    async with desk(house) as one:
        await one.log_in("ada")
        (leave, *_) = forms_of(await one.browser.get("/settings/grants"))
        kept = dict(one.browser.cookies)
        assert (await one.send("/logout", [("csrf", "x")])).status_code == 403
        assert await logged_in_as(one) == "ada"
        assert (await one.send(leave.action, leave.fields)).status_code == 303
        one.browser.cookies.update(kept)
        assert await logged_in_as(one) is None
        await one.log_in("ada")
        one.clock.forward(days=14)
        assert await logged_in_as(one) is None
        await one.log_in("ada")
        logins.set_password(house.database, "ada", encoded(WORDS))
        assert await logged_in_as(one) is None


def test_a_password_is_long_enough_and_kept_as_argon2() -> None:
    kept = encoded(WORDS)
    assert kept.startswith("$argon2id$")
    assert fits(kept, WORDS)
    assert not fits(kept, WORDS + "!")
    assert not fits(None, "the password of nobody")
    for bad in ("short", "x" * 257):
        with pytest.raises(BadPayload, match="12 to 256"):
            encoded(bad)


# --- grants, as people see them -------------------------------------------------------------------


async def test_a_person_sees_their_own_grants_and_takes_them_back(house: House) -> None:
    for name, role in (("ada", Role.RESPONDER), ("bob", Role.RESPONDER), ("root", Role.ADMIN)):
        accounts.add_user(house.database, name, role)
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in("ada")
        code = answer_of(await one.decide(await one.page()))["code"]
        assert "No assistant was let in yet" in (await one.browser.get("/settings/grants")).text
        pair = (await one.assistant.redeem(code)).json()
        (_, form) = forms_of(await one.browser.get("/settings/grants"))
        await one.log_in("bob")
        assert "Test assistant" not in (await one.browser.get("/settings/grants")).text
        assert (await one.send(form.action, form.fields)).status_code == 403
        await one.log_in("root")
        assert "by ada" in (await one.browser.get("/settings/grants")).text
        await one.log_in("ada")
        (_, form) = forms_of(await one.browser.get("/settings/grants"))
        across = await one.send(form.action, form.fields, **{"Sec-Fetch-Site": "cross-site"})
        assert across.status_code == 403
        assert (await one.assistant.knock(pair["access_token"])).status_code == 200
        assert (await one.send(form.action, form.fields)).status_code == 303
        assert (await one.assistant.knock(pair["access_token"])).status_code == 401
        assert "taken back" in (await one.browser.get("/settings/grants")).text


def command(data: Path, *words: str, given: str | None = None) -> Any:
    """A command's JSON."""
    done = CliRunner().invoke(cli, [*words, "--data", str(data), "--json"], input=given)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_commands_make_links_set_passwords_and_list_and_revoke_grants(house: House) -> None:
    data = house.config.data
    accounts.add_user(house.database, "ada", Role.RESPONDER)
    async with desk(house) as one:
        pair = await one.pair()
        (row,) = command(data, "grants", "list")
        assert (row["client_name"], row["user"], row["scopes"]) == (
            "Test assistant",
            None,
            ["incidents:read"],
        )
        assert command(data, "grants", "revoke", row["id"]) == {"id": row["id"], "revoked": True}
        assert (await one.assistant.knock(pair["access_token"])).status_code == 401
        assert command(data, "grants", "list") == []
        assert [each["id"] for each in command(data, "grants", "list", "--all")] == [row["id"]]
        made = command(data, "user", "link", "ada")
        assert made["link"].startswith(f"{ADDRESS}/login?link=")
        with announced(data, "http://127.0.0.1:9999"):
            elsewhere = command(data, "user", "link")
        assert elsewhere["link"].startswith("http://127.0.0.1:9999/login?link=")
        assert (await one.browser.get(made["link"])).status_code == 303
        assert await logged_in_as(one) == "ada"
        command(data, "user", "password", "ada", given=f"{WORDS}\n")
        assert (await by_password(one, "ada", WORDS)).status_code == 303
        missing = CliRunner().invoke(cli, ["grants", "revoke", "nothing", "--data", str(data)])
    assert (missing.exit_code, "nightdesk grants list" in missing.output) == (1, True)
    assert grants.grants(house.database)[0].revoked_at is not None
