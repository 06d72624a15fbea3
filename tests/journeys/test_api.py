"""`/api/v1`: who is let in, what it answers, what it says of requests that do not fit, and its description."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Mount, Route

from server.api.endpoints import ENDPOINTS, LARGEST
from server.api.models import IncidentDetail
from server.api.openapi import PREFIX, description
from server.app import make_app
from server.house import House
from server.incidents.as_json import incident_json
from server.mcp import writing
from server.work import detached
from store import accounts, journal, queries
from store.people import Role, Scope
from store.project import RepositoryConfig
from tests.journeys import mcp_samples as samples
from tests.journeys import test_ingest_http as wire

REPOSITORY = Path(__file__).resolve().parents[2]
EVERYTHING = tuple(Scope)
SHA = "ab" * 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def bearer(house: House, *scopes: Scope, **options: Any) -> dict[str, str]:
    """The header of a fresh token."""
    text, _ = accounts.create_token(house.database, scopes=scopes or (Scope.READ,), **options)
    return {"Authorization": f"Bearer {text}"}


@asynccontextmanager
async def client(house: House, *scopes: Scope, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A script with a token of these scopes."""
    async with wire.client(make_app(house)) as http:
        http.headers.update(bearer(house, *scopes, **options))
        yield http


def several(house: House, count: int, project: str = "default") -> list[str]:
    """Incidents of their own, each with one event."""
    events = [
        samples.event(number + 1, project=project, client_fingerprint=(f"{project}-{number}",))
        for number in range(count)
    ]
    return [one.incident_id for one in house.receive(events)]


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal of the one shape."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    return str(body["error"]["message"])


# --- who is let in --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_without_a_good_token_every_endpoint_says_401_with_a_challenge(house: House) -> None:
    text, token = accounts.create_token(house.database)
    accounts.revoke_token(house.database, token.id)
    async with wire.client(make_app(house)) as http:
        for endpoint in ENDPOINTS:
            path = PREFIX + re.sub(r"\{\w+\}", "INC-1", endpoint.path)
            for headers in ({}, {"Authorization": "Bearer nd_x"}, {"Authorization": f"Bearer {text}"}):
                answer = await http.request(endpoint.method, path, headers=headers)
                refused(answer, 401, "unauthorized")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.anyio
async def test_a_scope_that_is_missing_is_named_before_the_body_is_read(house: House) -> None:
    (incident,) = several(house, 1)
    async with client(house, Scope.STATE) as http:
        assert "incidents:read" in refused(await http.get(f"{PREFIX}/incidents"), 403, "insufficient_scope")
    async with client(house, Scope.READ) as http:
        for path, scope in ((f"incidents/{incident}/repair", Scope.FIX), ("releases", Scope.STATE)):
            answer = await http.post(f"{PREFIX}/{path}", content=b"{nope")
            assert scope in refused(answer, 403, "insufficient_scope")
            assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]
        answer = await http.post(f"{PREFIX}/incidents/{incident}/state", json={"state": "resolved"})
        assert Scope.STATE in refused(answer, 403, "insufficient_scope")
        claimed = await http.post(f"{PREFIX}/incidents/{incident}/state", json={"state": "claimed"})
        assert claimed.status_code == 200
    assert queries.incident(house.database, incident).status.value == "open"


@pytest.mark.anyio
async def test_for_a_token_of_one_project_the_others_do_not_exist(house: House) -> None:
    journal.add_project(house.database, "billing")
    (ours,) = several(house, 1)
    (theirs,) = several(house, 1, "billing")
    event_id = queries.occurrences(house.database, theirs)[0].event_id
    async with client(house, *EVERYTHING, project="default") as http:
        listed = (await http.get(f"{PREFIX}/incidents")).json()
        assert [row["id"] for row in listed["incidents"]] == [ours]
        for part in ("", "/events", "/causes", "/reproducer", "/fix"):
            refused(await http.get(f"{PREFIX}/incidents/{theirs}{part}"), 404, "not_found")
        for path, body in (("state", {"state": "noise"}), ("repair", {})):
            refused(await http.post(f"{PREFIX}/incidents/{theirs}/{path}", json=body), 404, "not_found")
        refused(await http.get(f"{PREFIX}/incidents", params={"project": "billing"}), 404, "not_found")
        refused(await http.get(f"{PREFIX}/incidents", params={"project": "2"}), 404, "not_found")
        release = {"version": "1", "project": "billing"}
        refused(await http.post(f"{PREFIX}/releases", json=release), 404, "not_found")
        seen = await http.get(f"{PREFIX}/events/{event_id}")
        assert seen.status_code == 404 or seen.json()["project"] == "default"
    assert queries.incident(house.database, theirs).lane.value != "noise"


@pytest.mark.anyio
async def test_a_viewers_token_reads_whatever_scopes_it_was_given(house: House) -> None:
    (incident,) = several(house, 1)
    accounts.add_user(house.database, "vi", Role.VIEWER)
    async with client(house, *EVERYTHING, user="vi", name="laptop") as http:
        assert (await http.get(f"{PREFIX}/incidents/{incident}")).status_code == 200
        for state in ("claimed", "resolved"):
            answer = await http.post(f"{PREFIX}/incidents/{incident}/state", json={"state": state})
            assert "role responder" in refused(answer, 403, "forbidden")
        who = (await http.get(f"{PREFIX}/whoami")).json()
    assert (who["name"], who["role"]) == ("vi (token laptop)", "viewer")


# --- what it answers ------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_pages_of_the_list_follow_each_other_without_a_gap(house: House) -> None:
    made = set(several(house, 7))
    seen: list[str] = []
    async with client(house) as http:
        cursor = None
        for _ in range(10):
            page = (
                await http.get(
                    f"{PREFIX}/incidents", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
                )
            ).json()
            seen += [row["id"] for row in page["incidents"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.anyio
async def test_the_filters_are_those_of_the_command_line(house: House) -> None:
    first, second = several(house, 2)
    async with client(house, Scope.READ, Scope.STATE) as http:
        muted = await http.post(
            f"{PREFIX}/incidents/{first}/state", json={"state": "muted", "reason": "known"}
        )
        assert (muted.status_code, muted.json()["status"]) == (200, "muted")

        async def ids(**wanted: str) -> list[str]:
            answer = await http.get(f"{PREFIX}/incidents", params=wanted)
            assert answer.status_code == 200, answer.text
            return [row["id"] for row in answer.json()["incidents"]]

        assert await ids() == [second]
        assert await ids(status="muted") == [first]
        assert set(await ids(status="all")) == {first, second}
        assert await ids(lane="noise") == []
        assert await ids(since="1h") == []
        assert await ids(since="2020-01-01", project="default") == [second]
        assert await ids(query="nothing like it") == []
        assert await ids(since="999999w") == [second]
    (act,) = [act for act in queries.acts(house.database, first) if act.what == "status"]
    assert (act.who.startswith("token "), act.reason) == (True, "known")


@pytest.mark.anyio
async def test_one_incident_is_the_json_that_show_prints(house: House) -> None:
    (incident,) = several(house, 1)
    samples.attempt_with(house, incident, "said")
    wanted = incident_json(house, incident)
    async with client(house) as http:
        found = (await http.get(f"{PREFIX}/incidents/{incident}")).json()
    assert set(found) == set(wanted)
    assert set(IncidentDetail.model_fields) <= set(wanted)
    assert {
        name: found[name] for name in ("id", "title", "changes", "patch", "validation", "steps", "proof")
    } == {name: wanted[name] for name in ("id", "title", "changes", "patch", "validation", "steps", "proof")}


@pytest.mark.anyio
async def test_causes_reproducer_and_fix_are_there_once_a_repair_has_found_them(house: House) -> None:
    (incident,) = several(house, 1)
    async with client(house) as http:
        place = f"{PREFIX}/incidents/{incident}"
        assert (await http.get(f"{place}/causes")).json() == {"id": incident, "changes": []}
        assert (await http.get(f"{place}/reproducer")).json()["reproducer"] is None
        assert (await http.get(f"{place}/fix")).json()["patch"] is None
        attempt = samples.attempt_with(house, incident, "said")
        assert (await http.get(f"{place}/causes")).json()["changes"][0]["commit"] == "c" * 40
        assert (await http.get(f"{place}/reproducer")).json()["reproducer"]["framework"] == "pytest"
        fix = (await http.get(f"{place}/fix")).json()
    assert (fix["run"], fix["ended"], fix["proof"]) == (attempt.id, "proven", "d" * 64)
    assert fix["patch"]["diffs"] == {"shop": samples.DIFF}


@pytest.mark.anyio
async def test_events_come_in_pages_and_each_by_its_id(house: House) -> None:
    house.receive([samples.event(number) for number in range(1, 6)])
    async with client(house) as http:
        first = (await http.get(f"{PREFIX}/incidents/INC-1/events", params={"limit": 3})).json()
        rest = (
            await http.get(f"{PREFIX}/incidents/INC-1/events", params={"cursor": first["next_cursor"]})
        ).json()
        ids = [row["event_id"] for row in first["events"] + rest["events"]]
        assert ids == [f"{number:032x}" for number in range(1, 6)]
        assert rest["next_cursor"] is None
        assert all(row["body"] for row in first["events"])
        one = await http.get(f"{PREFIX}/events/{ids[0]}")
        assert one.json()["exceptions"][0]["type"] == "KeyError"
        refused(await http.get(f"{PREFIX}/events/{'f' * 32}"), 404, "not_found")


@pytest.mark.anyio
async def test_a_release_is_kept_with_its_commits_and_time(house: House) -> None:
    row = RepositoryConfig(name="shop", project="default", url="/nowhere")
    journal.add_repository(house.database, row)
    body = {
        "version": "shop@2", "environment": "production", "deployed_at": "2026-11-20T12:00:00+02:00",
        "commits": {"shop": SHA},
    }  # fmt: skip
    async with client(house, Scope.STATE, Scope.READ, name="deploy") as http:
        answer = await http.post(f"{PREFIX}/releases", json=body)
        assert answer.status_code == 200, answer.text
        unknown = await http.post(f"{PREFIX}/releases", json={**body, "commits": {"shpo": SHA}})
        assert "'shpo'" in refused(unknown, 404, "not_found")
    (kept,) = queries.releases(house.database, "default")
    assert (kept.version, kept.environment, kept.commits) == ("shop@2", "production", {"shop": SHA})
    assert kept.deployed_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert queries.acts(house.database, "project:default")[-1].who == "token deploy"


@pytest.mark.anyio
async def test_a_repair_is_started_once_and_its_run_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (incident,) = several(house, 1)
    run = journal.start_attempt(house.database, incident)
    asked: list[str] = []

    def start(house: House, incident_id: str) -> detached.Started:
        asked.append(incident_id)
        return detached.Started(run.id, fresh=True)

    monkeypatch.setattr(writing.detached, "start_repair", start)
    async with client(house, Scope.READ, Scope.FIX) as http:
        answer = await http.post(f"{PREFIX}/incidents/{incident}/repair", json={"hint": "look at rates"})
    assert (answer.status_code, answer.json()) == (202, {"run": run.id, "started": True})
    assert asked == [incident]


# --- what does not fit ----------------------------------------------------------------------------

WRONG: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/incidents?lane=urgent", {}, 400),
    ("GET", "/incidents?limit=0", {}, 400),
    ("GET", "/incidents?limit=many", {}, 400),
    ("GET", "/incidents?limti=3", {}, 400),
    ("GET", "/incidents?cursor=INC-999", {}, 404),
    ("GET", "/incidents?cursor=%00", {}, 400),
    ("GET", "/incidents?cursor=INC-999999999999", {}, 404),
    ("GET", "/incidents?since=yesterday", {}, 400),
    ("GET", "/incidents?since=0001-01-01T00:00:00%2B14:00", {}, 400),
    ("GET", "/incidents?project=" + "9" * 40, {}, 404),
    ("GET", "/incidents?query=" + "q" * 300, {}, 400),
    ("GET", "/incidents?query=%FF%00%25_", {}, 200),
    ("GET", "/incidents/INC-2", {}, 404),
    ("GET", "/incidents/%2e%2e%2f", {}, 404),
    ("GET", "/incidents/INC-1/nothing", {}, 404),
    ("GET", "/incidents/INC-1/events?cursor=-1", {}, 400),
    ("GET", "/incidents/INC-1/events?cursor=" + "9" * 30, {}, 400),
    ("GET", "/incidents/INC-1/events?cursor=4611686018427387904", {}, 200),
    ("GET", "/events/%00", {}, 404),
    ("GET", "/", {}, 404),
    ("DELETE", "/incidents/INC-1", {}, 405),
    ("OPTIONS", "/incidents", {}, 405),
    ("POST", "/incidents", {}, 405),
    ("POST", "/incidents/INC-1/state", {"content": b""}, 400),
    ("POST", "/incidents/INC-1/state", {"content": b"\xff\xfe"}, 400),
    ("POST", "/incidents/INC-1/state", {"content": b"[" * 100_000}, 400),
    ("POST", "/incidents/INC-1/state", {"content": b"null"}, 400),
    ("POST", "/incidents/INC-1/state", {"json": {"state": "gone"}}, 400),
    ("POST", "/incidents/INC-1/state", {"json": {"state": ["muted"]}}, 400),
    ("POST", "/incidents/INC-1/state", {"content": b'{"state": "muted", "reason": "\\ud800"}'}, 400),
    ("POST", "/incidents/INC-1/state", {"json": {"state": "muted", "by": "root"}}, 400),
    ("POST", "/incidents/INC-1/state", {"content": b" " * (LARGEST + 1)}, 413),
    ("POST", "/releases", {"json": {}}, 400),
    ("POST", "/releases", {"json": {"version": ""}}, 400),
    ("POST", "/releases", {"json": {"version": "1", "deployed_at": "9999-12-31T23:59:59-14:00"}}, 400),
    ("POST", "/releases", {"json": {"version": "1", "deployed_at": 1e400}}, 400),
    ("POST", "/releases", {"json": {"version": "1", "commits": {"shop": "--help"}}}, 400),
    ("POST", "/releases", {"json": {"version": "1", "project": "nowhere"}}, 404),
]


@pytest.mark.anyio
async def test_what_does_not_fit_is_told_in_one_shape_and_never_breaks_the_server(house: House) -> None:
    several(house, 1)
    async with client(house, *EVERYTHING) as http:
        for method, path, sent, status in WRONG:
            if "json" in sent:
                sent = {"content": json.dumps(sent["json"]).encode()}
            answer = await http.request(method, PREFIX + path, **sent)
            assert answer.status_code == status, f"{method} {path} {str(sent)[:80]}: {answer.text}"
            if status != 200:
                message = answer.json()["error"]["message"]
                assert message.endswith("."), message
                assert len(message) < 500
            if status == 405:
                assert answer.headers["Allow"]
        after = await http.get(f"{PREFIX}/incidents")
    assert after.status_code == 200


@pytest.mark.anyio
async def test_a_full_house_says_when_to_come_back(house: House) -> None:
    house.config = house.config.model_copy(update={"max_waiting": 0})
    async with client(house) as http:
        answer = await http.get(f"{PREFIX}/incidents")
    refused(answer, 429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) > 0


# --- its description ------------------------------------------------------------------------------

SHAPE: dict[str, Any] = {  # what OpenAPI 3.1 asks of the parts that we use
    "type": "object",
    "required": ["openapi", "info", "paths", "components", "security"],
    "properties": {
        "openapi": {"pattern": r"^3\.1\.\d+$"},
        "info": {"required": ["title", "version"]},
        "paths": {
            "patternProperties": {"^/": {"additionalProperties": {"$ref": "#/$defs/operation"}}},
            "additionalProperties": False,
        },
    },
    "$defs": {
        "operation": {
            "required": ["operationId", "summary", "responses"],
            "properties": {
                "parameters": {
                    "items": {
                        "required": ["name", "in", "schema"],
                        "properties": {"in": {"enum": ["path", "query"]}},
                        "if": {"properties": {"in": {"const": "path"}}},
                        "then": {"properties": {"required": {"const": True}}},
                    }
                },
                "responses": {
                    "patternProperties": {r"^\d{3}$": {"required": ["description", "content"]}},
                    "additionalProperties": False,
                },
                "requestBody": {"required": ["content"]},
            },
        }
    },
}


@pytest.mark.anyio
async def test_the_description_is_openapi_and_names_exactly_the_endpoints_there_are(house: House) -> None:
    async with wire.client(make_app(house)) as http:
        told = (await http.get(f"{PREFIX}/openapi.json")).json()
    Draft202012Validator(SHAPE).validate(told)
    named = {(method.upper(), path) for path, operations in told["paths"].items() for method in operations}
    assert named == {(each.method, PREFIX + each.path) for each in ENDPOINTS}
    schemas = told["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert used <= set(schemas)
    ids = [operation["operationId"] for each in told["paths"].values() for operation in each.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.anyio
async def test_what_is_answered_fits_the_schema_that_the_description_gives(house: House) -> None:
    house.receive([samples.event(1)])
    samples.attempt_with(house, "INC-1", "said")
    told = description("1")
    for endpoint in (each for each in ENDPOINTS if each.method == "GET"):
        path = PREFIX + endpoint.path.replace("{id}", "INC-1").replace("{event_id}", f"{1:032x}")
        async with client(house) as http:
            answer = await http.get(path)
        assert answer.status_code == 200, answer.text
        schema = told["paths"][PREFIX + endpoint.path]["get"]["responses"]["200"]["content"][
            "application/json"
        ]
        whole = {**schema["schema"], "components": told["components"]}
        Draft202012Validator(whole).validate(answer.json())


def test_every_route_of_the_application_is_in_the_reference(house: House) -> None:
    page = (REPOSITORY / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    routes = make_app(house).routes
    paths = {re.sub(r":\w+\}", "}", route.path) for route in routes if isinstance(route, Route)}
    paths |= {f"{PREFIX}{each.path}" for each in ENDPOINTS} | {f"{PREFIX}/openapi.json"}
    assert {route.path for route in routes if isinstance(route, Mount)} == {PREFIX, "/static"}
    documented = set(re.findall(r"`(?:(?:GET|POST) )?(/[^`\s]*)`", page))
    assert "with `.md` or `.json` behind its address" in page  # said once, of every page
    documented |= {f"{path}{kind}" for path in [*documented, "/now"] for kind in (".md", ".json")}
    assert paths - documented == set()


# --- figures, keys, a real server -----------------------------------------------------------------


@pytest.mark.anyio
async def test_figures_are_for_this_machine_or_for_a_token_that_reads_every_project(house: House) -> None:
    several(house, 2)
    samples.attempt_with(house, "INC-1", "said")
    app = make_app(house)
    async with wire.client(app) as http:
        here = await http.get("/metrics")
    assert here.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = here.text.splitlines()
    assert "nightdesk_events_total 2" in lines
    assert 'nightdesk_repairs{ended="proven"} 1' in lines
    assert 'nightdesk_repairs{ended="running"} 0' in lines
    assert sum(int(line.split()[-1]) for line in lines if line.startswith("nightdesk_incidents{")) == 2
    transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://nightdesk.example") as elsewhere:
        assert (await elsewhere.get("/metrics")).status_code == 401
        assert (await elsewhere.get("/metrics", headers=bearer(house))).text == here.text
        confined = bearer(house, project="default")
        assert (await elsewhere.get("/metrics", headers=confined)).status_code == 403


@pytest.mark.anyio
async def test_events_with_a_rotated_key_are_refused_at_the_door(house: House) -> None:
    (old,) = queries.keys(house.database, "default")
    new = journal.add_key(house.database, "default")
    journal.revoke_key(house.database, old.key)
    async with wire.client(make_app(house)) as http:
        codes = [
            (await http.post("/api/1/store/", json=wire.EVENT, params={"sentry_key": key})).status_code
            for key in (old.key, new.key)
        ]
    assert codes == [403, 200]


def test_a_script_talks_to_a_real_server(house: House) -> None:
    several(house, 1)
    with wire.serving(house) as (host, _), httpx.Client(base_url=f"http://{host}", timeout=30) as http:
        assert http.get(f"{PREFIX}/incidents").status_code == 401
        headers = bearer(house, *EVERYTHING)
        listed = http.get(f"{PREFIX}/incidents", headers=headers)
        assert [row["id"] for row in listed.json()["incidents"]] == ["INC-1"]
        assert http.head(f"{PREFIX}/incidents", headers=headers).status_code == 200
        resolved = http.post(f"{PREFIX}/incidents/INC-1/state", headers=headers, json={"state": "resolved"})
        assert resolved.json()["status"] == "resolved"
        large = http.post(f"{PREFIX}/releases", headers=headers, content=b" " * (LARGEST + 1))
        assert large.status_code == 413
        assert http.get("/metrics").status_code == 200
