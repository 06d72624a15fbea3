"""The settings: what a team has set up, and, for an admin, the buttons that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import RedirectResponse, Response

from server.checks import configuration
from server.dsn import dsn
from server.policy import Action
from server.quoting import Quoter
from server.redaction import RULES_FILE, load_rules
from server.web.formats import shown
from server.web.sessions import FORM_HEADERS
from server.web.visiting import Visit, number
from store import accounts, journal, queries, tasks
from store.errors import BadPayload, NightdeskError, NotFound
from store.git import without_credentials
from store.people import Role
from store.project import RepositoryConfig

_AUDITED = 25  # incidents whose newest event is looked at for what was redacted


def page(visit: Visit) -> Response:
    """What is set up. Keys, people and tokens are for admins."""
    admin = visit.can("admin")
    now = datetime.now(UTC)
    house = visit.house
    projects = [one for one in queries.projects(house.database) if house.sees(one.name)]
    keys = {
        one.name: [
            {"id": key.id, "public": key.public, "until": key.revoked_at, "dsn": dsn(house, one, key)}
            for key in queries.keys(house.database, one.name)
            if key.usable(now)
        ]
        for one in projects
    }
    repositories = [
        _repository(visit, row) for row in queries.repositories(house.database) if house.sees(row.project)
    ]
    plain: dict[str, Any] = {
        "projects": [one.name for one in projects],
        "repositories": repositories,
        "redaction": _redaction(visit),
        "paused": tasks.paused(house.database),
        "people": [_person(user) for user in accounts.users(house.database)] if admin else None,
        "settings": {one.part: one.said for one in configuration(house.config)} if admin else None,
    }

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# Settings"
        yield f"Projects: {', '.join(quoter.name(name) for name in plain['projects'])}"
        for row in repositories:
            yield f"- repository {quoter.name(row['name'])} of {quoter.name(row['project'])}: drafts {row['drafts']}"

    return shown(
        visit, "settings.html", plain, lines, admin=admin, keys=keys if admin else {}, roles=list(Role),
        tokens=[one for one in accounts.tokens(house.database) if one.revoked_at is None and one.expires_at > now]
        if admin else [],
    )  # fmt: skip


def _repository(visit: Visit, row: RepositoryConfig) -> dict[str, Any]:
    """A repository with its own part of the configuration; a sentence where that cannot be read."""
    told: dict[str, Any] = {
        "name": row.name, "project": row.project, "url": without_credentials(row.url), "root": row.root,
        "drafts": None, "part": {}, "wrong": None,
    }  # fmt: skip
    try:
        part = visit.house.part(row, visit.house.mirrors.get(row.name))
        told["part"] = {
            name: value
            for name, value in part.model_dump(mode="json").items()
            if value not in (None, [], {}, "")
        }
        told["drafts"] = part.drafts or visit.house.config.draft_policy(
            remote="://" in row.url or "@" in row.url
        )
    except NightdeskError as error:
        told["wrong"] = str(error)
    return told


def _redaction(visit: Visit) -> dict[str, Any]:
    """What the team added to redaction, and what was taken out of the newest events: where and what kind."""
    config = visit.house.config
    rules = load_rules(config.data, config.redaction_rules)
    audit: dict[tuple[str, str], int] = {}
    for incident in queries.incidents(visit.house.database, project=visit.house.only, limit=_AUDITED):
        for event in queries.events(visit.house.database, incident.id, limit=1):
            for row in event.redactions:
                audit[row.kind, row.rule] = audit.get((row.kind, row.rule), 0) + 1
    return {
        "file": config.redaction_rules or RULES_FILE,
        "schemas": sorted(rules.schemas),
        "dictionary": len(rules.dictionary),
        "allowed": len(rules.allow) + len(rules.allow_names),
        "addresses": rules.addresses,
        "audit": [
            {"kind": kind, "rule": rule, "times": times} for (kind, rule), times in sorted(audit.items())
        ],
    }


def _person(user: Any) -> dict[str, Any]:
    return {"name": user.name, "role": user.role, "roles": dict(user.roles)}


def change(visit: Visit) -> Response:
    """Do what a button of the settings says. Raises NotFound, NotAllowed, BadPayload."""
    name = visit.request.path_params["act"]
    if name not in CHANGES:
        raise NotFound("There is no such button.")
    visit.require(Action.ADMIN, None)
    anchor = CHANGES[name](visit)
    return RedirectResponse(f"/settings#{anchor}", status_code=303, headers=dict(FORM_HEADERS))


def _add_project(visit: Visit) -> str:
    project = journal.add_project(visit.house.database, visit.field("name", 65), visit.name)
    if not queries.keys(visit.house.database, project.name):
        journal.add_key(visit.house.database, project.name, by=visit.name)
    return "projects"


def _add_key(visit: Visit) -> str:
    public = visit.field("public") == "yes"
    journal.add_key(visit.house.database, visit.field("project", 65), public=public, by=visit.name)
    return "projects"


def _revoke_key(visit: Visit) -> str:
    wanted = number(visit.field("key"))
    for project in queries.projects(visit.house.database):
        for key in queries.keys(visit.house.database, project.name):
            if key.id == wanted:
                journal.revoke_key(visit.house.database, key.key, visit.name)
                return "projects"
    raise NotFound("There is no such key.")


def _add_person(visit: Visit) -> str:
    role, project = visit.field("role"), visit.field("project", 65) or None
    if role not in set(Role):
        raise BadPayload(f"There is no such role; there are {', '.join(Role)}.")
    accounts.add_user(visit.house.database, visit.field("name", 100), Role(role), project, visit.name)
    return "people"


def _remove_person(visit: Visit) -> str:
    accounts.remove_user(visit.house.database, visit.field("name", 100), by=visit.name)
    return "people"


def _revoke_token(visit: Visit) -> str:
    accounts.revoke_token(visit.house.database, visit.field("token", 100), visit.name)
    return "tokens"


def _pause(visit: Visit) -> str:
    tasks.pause(visit.house.database, visit.name)
    return "repairs"


def _resume(visit: Visit) -> str:
    tasks.resume(visit.house.database, visit.name)
    return "repairs"


CHANGES: Mapping[str, Callable[[Visit], str]] = {
    "add-project": _add_project,
    "add-key": _add_key,
    "revoke-key": _revoke_key,
    "add-person": _add_person,
    "remove-person": _remove_person,
    "revoke-token": _revoke_token,
    "pause": _pause,
    "resume": _resume,
}
