"""What the buttons of the settings do: an admin's, each kept as an act under their name. What can be taken back (the
repositories, the people, the rules of redaction) is; a key or a token is taken out of use for good."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response

from server.intake.redaction import load_rules, rules_file
from server.knowing.repository_part import validate
from server.policy import Action
from server.web.sessions import FORM_HEADERS, LARGEST
from server.web.visiting import Visit, number
from store import accounts, journal, logins, overview, queries, tasks
from store.errors import BadPayload, NotAllowed, NotFound, Unavailable
from store.people import Role, Scope, User
from store.project import Act, RepositoryConfig
from triage.redaction_rules import read_rules

LISTS = ("context", "conventions", "runbooks", "critical_paths", "protected_paths")  # one file or glob a line
UNDOABLE = ("repository", "user", "redaction")
_LONGEST = LARGEST  # characters of a field with many lines: nothing of it is cut off
_ADDRESS = re.compile(r"(https?|ssh|git)://\S+|[\w.-]+@[\w.-]+:\S+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,99}")


def change(visit: Visit) -> Response:
    """Do what a button of the settings says. Raises NotFound, NotAllowed, BadPayload, Unavailable."""
    name = visit.request.path_params["act"]
    if name not in CHANGES:
        raise NotFound("There is no such button.")
    visit.require(Action.ADMIN, None)
    anchor = CHANGES[name](visit)
    return RedirectResponse(f"/settings#{anchor}", status_code=303, headers=dict(FORM_HEADERS))


# --- projects and keys ---


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


# --- repositories ---


def _keep_repository(visit: Visit) -> str:
    """Connect a repository, or change what one is told: only the fields of the form, the others stay."""
    name, project = visit.field("name", 100), visit.field("project", 65)
    if not _NAME.fullmatch(name):
        raise BadPayload("A repository's name is letters, digits, dot, dash, plus, slash and underscore.")
    rows = queries.repositories(visit.house.database, queries.project(visit.house.database, project).name)
    known = next((row for row in rows if row.name == name), None)
    url = known.url if known else _source(visit)
    part = _part(visit, known.config if known else {})
    validate(part, "the form")
    visit.house.mirrors.add(name, url)
    root = visit.field("root", 300) or "."
    wanted = RepositoryConfig(name=name, project=project, url=url, root=root, config=part)
    journal.add_repository(visit.house.database, wanted, visit.name)
    return "repositories"


def _source(visit: Visit) -> str:
    """Where a new repository is. Folders of the server's machine are for whoever sits there."""
    url = visit.field("url", 1000)
    if _ADDRESS.fullmatch(url):
        return url
    if not visit.is_operator:
        raise NotAllowed(
            "From here a repository is connected by its address; a folder by whoever sits at the server."
        )
    return str(Path(url).expanduser().resolve())


def _part(visit: Visit, known: Mapping[str, Any]) -> dict[str, Any]:
    """A repository's part of the configuration, as the form changes it. An empty field says nothing: then what is in
    the repository counts."""
    told: dict[str, Any] = {name: _lines(visit, name) for name in LISTS}
    pairs = [line.partition("=") for line in _lines(visit, "path_map")]
    told["path_map"] = {before.strip(): after.strip() for before, _, after in pairs}
    told["drafts"] = visit.field("drafts", 10)
    told["draft_cap"] = number(cap) if (cap := visit.field("draft_cap", 10)) else None
    kept = {name: value for name, value in known.items() if name not in told}
    return kept | {name: value for name, value in told.items() if value not in ([], {}, "", None)}


def _lines(visit: Visit, name: str) -> list[str]:
    return [line.strip() for line in visit.field(name, _LONGEST).splitlines() if line.strip()]


def _remove_repository(visit: Visit) -> str:
    journal.remove_repository(
        visit.house.database, visit.field("project", 65), visit.field("name", 100), visit.name
    )
    return "repositories"


# --- redaction ---


def _keep_rules(visit: Visit) -> str:
    """Write the rules of redaction; they count within a second, everywhere. The former ones stay beside them."""
    try:
        schemas = json.loads(visit.field("schemas", _LONGEST) or "{}")
    except ValueError as error:
        raise BadPayload("The schemas are not JSON.") from error
    document = {
        "schemas": schemas,
        "addresses": visit.field("addresses") == "yes",
        **{name: _lines(visit, name) for name in ("dictionary", "allow", "allow_names")},
    }
    read_rules(document)
    _write_rules(visit, json.dumps(document, indent=2))
    return "redaction"


def _write_rules(visit: Visit, text: str) -> None:
    """Put rules where they are read, and the former ones beside them. Acts tell that it was done, not what the rules
    say: they hold the very names that are to be kept out. Raises NotAllowed, Unavailable."""
    config = visit.house.config
    if config.redaction_rules:
        raise NotAllowed("The file of the rules is named by `redaction_rules`: change it where it is kept.")
    path = rules_file(config.data)
    before, fresh = _former(path), path.with_name(f".{path.name}.{os.getpid()}")
    try:
        before.write_text(path.read_text(encoding="utf-8") if path.exists() else "{}", encoding="utf-8")
        before.chmod(0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(path)
    except OSError as error:
        raise Unavailable(f"The rules of redaction cannot be written: {error.strerror}.") from error
    load_rules(config.data)
    journal.remember(
        visit.house.database, visit.name, "redaction", "redaction", "the former rules", "other rules"
    )


def _former(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")


# --- people ---


def _add_person(visit: Visit) -> str:
    role, project = visit.field("role"), visit.field("project", 65) or None
    if role not in set(Role):
        raise BadPayload(f"There is no such role; there are {', '.join(Role)}.")
    accounts.add_user(visit.house.database, visit.field("name", 100), Role(role), project, visit.name)
    return "people"


def _remove_person(visit: Visit) -> str:
    accounts.remove_user(visit.house.database, visit.field("name", 100), by=visit.name)
    return "people"


def _link(visit: Visit) -> tuple[str, str]:
    visit.require(Action.ADMIN, None)
    name = visit.field("name", 100)
    secret = logins.create_link(visit.house.database, name, datetime.now(UTC), visit.name)
    return f"The link that logs {name} in, once", f"{visit.house.config.address}/login?link={secret}"


# --- tokens, repairs ---


def _token(visit: Visit) -> tuple[str, str]:
    """A token for whoever asks, in their name: it never may more than they."""
    visit.require(Action.ADMIN, None)
    scopes = [Scope(value) for name, value in visit.given if name == "scope" and value in set(Scope)]
    days = number(visit.field("days", 5) or "90")
    if not 1 <= days <= 3650:
        raise BadPayload("A token is good for 1 to 3650 days.")
    person = visit.visitor.login.user if visit.visitor else None
    text, token = accounts.create_token(
        visit.house.database, name=visit.field("name", 100), scopes=scopes or [Scope.READ], days=days,
        user=person.name if person else None, project=visit.field("project", 65) or None, by=visit.name,
    )  # fmt: skip
    return f"Token {token.name}", text


def _revoke_token(visit: Visit) -> str:
    accounts.revoke_token(visit.house.database, visit.field("token", 100), visit.name)
    return "tokens"


def _pause(visit: Visit) -> str:
    tasks.pause(visit.house.database, visit.name)
    return "repairs"


def _resume(visit: Visit) -> str:
    tasks.resume(visit.house.database, visit.name)
    return "repairs"


# --- taking back ---


def _undo(visit: Visit) -> str:
    """Put back what an act has changed; that is an act of its own. Raises NotFound, BadPayload where it was changed
    again since."""
    act = overview.act(visit.house.database, number(visit.field("act")))
    if act is None or act.what not in UNDOABLE:
        raise NotFound("There is no such act.")
    same = [one for one in queries.acts(visit.house.database, act.subject) if one.what == act.what]
    if same[-1].id != act.id:
        raise BadPayload("It was changed again since; take that back first.")
    _BACK[act.what](visit, act)
    return "done"


def _repository_back(visit: Visit, act: Act) -> None:
    project, _, name = act.subject.removeprefix("repository:").partition("/")
    if act.before is None:
        journal.remove_repository(visit.house.database, project, name, visit.name)
        return
    former = RepositoryConfig(name=name, project=project, **act.before)
    journal.add_repository(visit.house.database, former, visit.name)


def _person_back(visit: Visit, act: Act) -> None:
    """Give somebody the roles that they had. Their tokens, grants and password do not come back."""
    name = act.subject.removeprefix("user:")
    database = visit.house.database
    former = None if act.before is None else User.model_validate(act.before)
    given = None if act.after is None else User.model_validate(act.after)
    if given is not None and (former is None or (given.role and not former.role)):
        accounts.remove_user(database, name, by=visit.name)
        given = None
    if former is None:
        return
    if former.role is not None:
        accounts.add_user(database, name, former.role, None, visit.name)
    for project, role in former.roles.items():
        accounts.add_user(database, name, role, project, visit.name)
    for project in set(given.roles if given else ()) - set(former.roles):
        accounts.remove_user(database, name, project, visit.name)


def _rules_back(visit: Visit, act: Act) -> None:
    former = _former(rules_file(visit.house.config.data))
    if not former.exists():
        raise NotFound("The former rules are not here any more.")
    _write_rules(visit, former.read_text(encoding="utf-8"))


_BACK: Mapping[str, Callable[[Visit, Act], None]] = {
    "repository": _repository_back,
    "user": _person_back,
    "redaction": _rules_back,
}
CHANGES: Mapping[str, Callable[[Visit], str]] = {
    "add-project": _add_project,
    "add-key": _add_key,
    "revoke-key": _revoke_key,
    "keep-repository": _keep_repository,
    "remove-repository": _remove_repository,
    "keep-rules": _keep_rules,
    "add-person": _add_person,
    "remove-person": _remove_person,
    "revoke-token": _revoke_token,
    "pause": _pause,
    "resume": _resume,
    "undo": _undo,
}
SECRETS: Mapping[str, Callable[[Visit], tuple[str, str]]] = {"link": _link, "add-token": _token}
