"""Who may do what: the one place where it is decided, pure. Every door asks `may`.

At the command line, over stdio and on a page in a browser of this machine stands the operator, who could read
the folder anyway. A token may do what its scopes *and* the role of the person behind it allow, in the projects
that both reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from store.people import Grant, Role, Scope, Token, User


class Action(StrEnum):
    """What somebody wants to do."""

    READ = "read"
    CLAIM = "claim"  # take an incident, or let go of it
    FIX = "fix"  # start a repair, submit a patch
    DRAFT = "draft"  # have a draft opened where the policy of drafts lets it
    STATE = "state"  # say what became of an incident, or what is released
    ADMIN = "admin"  # projects, keys, people, tokens


State = Literal["claimed", "released", "open", "resolved", "muted", "noise", "not_noise"]

_NEEDS: Mapping[Action, tuple[Role, Scope | None]] = {
    Action.READ: (Role.VIEWER, Scope.READ),
    Action.CLAIM: (Role.RESPONDER, Scope.READ),
    Action.FIX: (Role.RESPONDER, Scope.FIX),
    Action.DRAFT: (Role.RESPONDER, Scope.DRAFT),
    Action.STATE: (Role.RESPONDER, Scope.STATE),
    Action.ADMIN: (Role.ADMIN, None),  # no scope gives it: a token never makes tokens
}
_RANKS = list(Role)


@dataclass(frozen=True)
class Principal:
    """Whoever is at a door. `scopes` is None where no token narrows what they may do."""

    name: str  # what they do is kept under it
    role: Role | None = None  # in every project
    roles: Mapping[str, Role] = field(default_factory=dict)  # project's name -> role
    scopes: frozenset[Scope] | None = frozenset()
    project: str | None = None  # the only one their token is good for
    granted: bool = False  # a person let an assistant do this, and can be asked for more

    def role_in(self, project: str | None) -> Role | None:
        """The higher of the role everywhere and the one in this project; None for none. Without `project`:
        everywhere."""
        if self.project is not None and project != self.project:
            return None
        here = self.roles.get(project) if project is not None else None
        return max((role for role in (self.role, here) if role), key=_RANKS.index, default=None)


OPERATOR = Principal("operator", role=Role.ADMIN, scopes=None)
NOBODY = Principal("nobody")


@dataclass(frozen=True)
class Decision:
    """Whether something may be done; where not, the sentence that says why, and the scope that would help."""

    allowed: bool
    why: str = ""
    scope: Scope | None = None


def may(principal: Principal, action: Action, project: str | None) -> Decision:
    """Whether somebody may do this in a project; None asks for all projects at once."""
    role, scope = _NEEDS[action]
    if principal.scopes is not None:
        if scope is None:
            return Decision(
                False, "No token may do this; the `nightdesk` command on the server's machine can."
            )
        if scope not in principal.scopes:
            more = (
                "connect the assistant again and tick it"
                if principal.granted
                else (f"`nightdesk token create --scope {scope}` makes one that has")
            )
            return Decision(False, f"This token has no scope {scope}; {more}.", scope)
    has = principal.role_in(project)
    where = f"in project {project!r}" if project is not None else "in every project"
    if has is None:
        return Decision(False, f"This reaches what is {where}, and whoever asks has no role there.")
    if _RANKS.index(has) < _RANKS.index(role):
        return Decision(False, f"This takes the role {role} {where}; whoever asks is {has} there.")
    return Decision(True)


def scope_of(action: Action) -> Scope | None:
    """The scope that a token needs for this; None where no scope gives it."""
    return _NEEDS[action][1]


def action_of(state: State) -> Action:
    """What it is to say this of an incident: taking it and letting go of it are less than the rest."""
    return Action.CLAIM if state in {"claimed", "released"} else Action.STATE


def reach(principal: Principal, action: Action, projects: Iterable[str]) -> frozenset[str] | None:
    """The projects of these in which somebody may do this; None means all there are and will be."""
    if may(principal, action, None).allowed:
        return None
    return frozenset(project for project in projects if may(principal, action, project).allowed)


def scopes_of(principal: Principal, projects: Iterable[str]) -> frozenset[Scope]:
    """The scopes that mean something for somebody: what each allows they may do in some project."""
    names = list(projects)
    actions = [
        (action, scope) for action, (_, scope) in _NEEDS.items() if scope and action is not Action.CLAIM
    ]
    return frozenset(scope for action, scope in actions if reach(principal, action, names) != frozenset())


def principal_of_person(user: User | None) -> Principal:
    """Somebody who is logged in; the operator where there is no user."""
    if user is None:
        return OPERATOR
    return Principal(name=user.name, role=user.role, roles=user.roles, scopes=None)


def principal_of_grant(grant: Grant) -> Principal:
    """An assistant to which a person has granted something: that person, narrowed to it."""
    person = principal_of_person(grant.user)
    return replace(
        person, name=f"{person.name} (with {grant.client_name})", scopes=frozenset(grant.scopes), granted=True
    )


def principal_of(token: Token) -> Principal:
    """Whoever shows a token: its person, else the operator, narrowed to what the token is for."""
    user = token.user
    return Principal(
        name=f"{user.name} (token {token.name})" if user else f"token {token.name}",
        role=user.role if user else Role.ADMIN,
        roles=user.roles if user else {},
        scopes=frozenset(token.scopes),
        project=token.project,
    )
