"""What an assistant says of an incident waits for a person, who confirms it or takes it back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from mcp import Client

from server.app import make_app
from server.cli import cli
from server.house import House
from server.mcp.tools import make_server
from store import journal, labels, queries
from store.errors import NotFound
from store.incident import Lane, Status
from tests.journeys import mcp_samples as samples

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ref(house: House) -> str:
    return house.receive([samples.event(1)])[-1].incident_id


async def said(house: House, ref: str, *states: str) -> dict[str, Any]:
    """Have an assistant say these of an incident; its last answer."""
    async with Client(make_server(lambda: house)) as client:
        for state in states:
            told = await client.call_tool("set_state", {"id": ref, "state": state, "reason": "it is a probe"})
            assert not told.is_error
    assert told.structured_content is not None
    return dict(told.structured_content)


async def test_noise_and_resolved_wait_and_a_claim_or_muting_does_not(house: House, ref: str) -> None:
    await said(house, ref, "claimed", "muted")
    assert labels.pending(house.database) == []
    told = await said(house, ref, "noise", "resolved")
    assert told["person_confirms_it_at"].endswith(f"/incidents/{ref}")
    waiting = labels.pending(house.database, ref)
    assert [(each.label, each.said_by, each.reason) for each in waiting] == [
        ("noise", "assistant", "it is a probe"),
        ("resolved", "assistant", "it is a probe"),
    ]
    async with Client(make_server(lambda: house)) as client:
        text = (await client.call_tool("get_incident", {"ref": ref})).content[0].text  # type: ignore[union-attr]
    assert f"noise, said by `assistant`; resolved, said by `assistant`: `nightdesk confirm {ref}`" in text


async def test_what_a_person_confirms_stays_and_waits_no_more(house: House, ref: str) -> None:
    await said(house, ref, "noise")
    assert [each.label for each in labels.decide(house.database, ref, "ann", confirmed=True)] == ["noise"]
    assert labels.pending(house.database) == []
    assert queries.incident(house.database, ref).lane is Lane.NOISE
    with pytest.raises(NotFound, match="waits for a person"):
        labels.decide(house.database, ref, "ann", confirmed=True)


async def test_what_a_person_dismisses_is_as_it_was_before(house: House, ref: str) -> None:
    before = queries.incident(house.database, ref)
    await said(house, ref, "noise", "resolved")
    labels.decide(house.database, ref, "ann", confirmed=False)
    after = queries.incident(house.database, ref)
    assert (after.lane, after.status) == (before.lane, before.status)
    assert labels.pending(house.database) == []


async def test_a_person_who_has_spoken_since_is_not_overruled_by_a_dismissal(house: House, ref: str) -> None:
    await said(house, ref, "resolved")
    journal.set_status(house.database, ref, Status.MUTED, "ann", "")
    labels.decide(house.database, ref, "bob", confirmed=False)
    assert queries.incident(house.database, ref).status is Status.MUTED


async def test_an_undone_word_waits_for_nobody(house: House, ref: str) -> None:
    await said(house, ref, "noise")
    journal.undo(house.database, "ann")
    assert labels.pending(house.database) == []


async def test_the_command_lists_confirms_and_takes_back(house: House, ref: str) -> None:
    await said(house, ref, "noise")
    folder = str(house.config.data)
    listed = CliRunner().invoke(cli, ["confirm", "--json", "--data", folder])
    assert [each["label"] for each in json.loads(listed.stdout)] == ["noise"]
    done = CliRunner().invoke(cli, ["confirm", ref, "--dismiss", "--data", folder])
    assert done.stdout == f"Taken back: {ref} is noise, said by assistant.\n"
    assert queries.incident(house.database, ref).lane is not Lane.NOISE


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1"}, 303),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({}, 403),
    ],
)
async def test_only_a_form_of_the_page_itself_confirms(
    house: House, ref: str, headers: dict[str, str], status: int
) -> None:
    await said(house, ref, "noise")
    transport = httpx.ASGITransport(app=make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
        assert "Waiting for your word" in (await browser.get(f"/incidents/{ref}")).text
        answer = await browser.post(f"/incidents/{ref}/label?word=confirm", headers=headers)
        assert answer.status_code == status
    assert bool(labels.pending(house.database)) is (status != 303)
