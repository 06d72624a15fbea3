"""The settings: what a team has set up. What their buttons do stands in `setting_up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from server.dsn import dsn
from server.incidents.quoting import Quoter
from server.intake.redaction import RULES_FILE, load_rules
from server.operating.checks import configuration
from server.web.formats import shown
from server.web.setting_up import LISTS, UNDOABLE
from server.web.visiting import Visit
from store import accounts, overview, queries, tasks
from store.errors import NightdeskError
from store.git import without_credentials
from store.people import Role, Scope
from store.project import RepositoryConfig
from triage.redaction_rules import Rules

_ACTS = 8  # that are shown, to be taken back
_AUDITED = 25  # incidents whose newest event is looked at for what was redacted


def page(visit: Visit, shown_once: tuple[str, str] | None = None) -> Response:
    """What is set up. Keys, people and tokens are for admins. `shown_once` is a secret that was just made, and what it
    is: it stands on this one answer and nowhere else."""
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
        scopes=list(Scope), shown_once=shown_once, lists=LISTS, operator=visit.is_operator, undoable=UNDOABLE,
        acts=overview.latest_acts(house.database, ("repository:", "user:", "redaction"), _ACTS) if admin else [],
    )  # fmt: skip


def _repository(visit: Visit, row: RepositoryConfig) -> dict[str, Any]:
    """A repository with its own part of the configuration; a sentence where that cannot be read."""
    told: dict[str, Any] = {
        "name": row.name, "project": row.project, "url": without_credentials(row.url), "root": row.root,
        "drafts": None, "part": {}, "own": row.config, "wrong": None,
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
        "named": bool(config.redaction_rules),
        "rules": _written(rules) if visit.can("admin") else None,
        "audit": [
            {"kind": kind, "rule": rule, "times": times} for (kind, rule), times in sorted(audit.items())
        ],
    }


def _written(rules: Rules) -> dict[str, Any]:
    """The rules as their form has them."""
    return {
        "dictionary": "\n".join(rules.dictionary), "allow": "\n".join(sorted(rules.allow)),
        "allow_names": "\n".join(sorted(rules.allow_names)),
        "schemas": json.dumps(rules.schemas, indent=2) if rules.schemas else "",
    }  # fmt: skip


def _person(user: Any) -> dict[str, Any]:
    return {"name": user.name, "role": user.role, "roles": dict(user.roles)}
