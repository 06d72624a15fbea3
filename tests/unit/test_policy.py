"""Who may do what: the whole table of roles, scopes and actions, and the edges of a project."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.policy import (
    NOBODY,
    OPERATOR,
    Action,
    Principal,
    action_of,
    may,
    principal_of,
    principal_of_grant,
    principal_of_person,
    reach,
    scope_of,
    scopes_of,
)
from store.people import Grant, Role, Scope, Token, User

NOW = datetime(2026, 11, 20, tzinfo=UTC)
EVERY_SCOPE = frozenset(Scope)

ALLOWED: dict[Role, set[Action]] = {
    Role.VIEWER: {Action.READ},
    Role.RESPONDER: {Action.READ, Action.CLAIM, Action.FIX, Action.DRAFT, Action.STATE},
    Role.ADMIN: set(Action),
}
NEEDED: dict[Action, Scope | None] = {
    Action.READ: Scope.READ,
    Action.CLAIM: Scope.READ,
    Action.FIX: Scope.FIX,
    Action.DRAFT: Scope.DRAFT,
    Action.STATE: Scope.STATE,
    Action.ADMIN: None,
}


def token(scopes: set[Scope], user: User | None = None, project: str | None = None) -> Token:
    return Token(
        id="t", name="ci", scopes=tuple(scopes), user=user, project=project, created_at=NOW, expires_at=NOW
    )  # fmt: skip


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_a_role_may_exactly_what_the_table_says_without_a_token(role: Role, action: Action) -> None:
    person = Principal("ada", role=role, scopes=None)
    assert may(person, action, "shop").allowed is (action in ALLOWED[role])
    assert may(person, action, None).allowed is (action in ALLOWED[role])


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("scope", Scope)
def test_a_token_may_what_its_scope_and_its_persons_role_both_allow(
    role: Role, action: Action, scope: Scope
) -> None:
    caller = principal_of(token({scope}, User(name="ada", role=role)))
    assert may(caller, action, "shop").allowed is (action in ALLOWED[role] and NEEDED[action] is scope)


@pytest.mark.parametrize("action", Action)
def test_a_missing_scope_is_named_with_the_command_that_gives_it(action: Action) -> None:
    decision = may(Principal("ci", role=Role.ADMIN, scopes=frozenset()), action, "shop")
    assert not decision.allowed
    assert decision.scope is NEEDED[action] is scope_of(action)
    if decision.scope:
        assert f"token create --scope {decision.scope}" in decision.why


def test_the_operator_may_everything_and_nobody_nothing() -> None:
    assert all(may(OPERATOR, action, project).allowed for action in Action for project in (None, "shop"))
    assert not any(may(NOBODY, action, project).allowed for action in Action for project in (None, "shop"))


def test_a_role_in_one_project_ends_at_its_edge() -> None:
    ada = Principal("ada", roles={"shop": Role.RESPONDER}, scopes=None)
    assert may(ada, Action.STATE, "shop").allowed
    assert not may(ada, Action.READ, "billing").allowed
    assert not may(ada, Action.READ, None).allowed
    assert reach(ada, Action.READ, ["shop", "billing"]) == {"shop"}
    assert reach(ada, Action.ADMIN, ["shop", "billing"]) == frozenset()


def test_the_higher_of_the_role_everywhere_and_the_one_here_counts() -> None:
    ada = Principal("ada", role=Role.VIEWER, roles={"shop": Role.ADMIN, "billing": Role.VIEWER}, scopes=None)
    assert may(ada, Action.ADMIN, "shop").allowed
    assert not may(ada, Action.CLAIM, "billing").allowed
    assert reach(ada, Action.READ, ["shop"]) is None


def test_a_token_for_one_project_is_good_there_only_whoever_stands_behind_it() -> None:
    caller = principal_of(token(set(Scope), project="shop"))
    assert may(caller, Action.FIX, "shop").allowed
    assert not may(caller, Action.READ, "billing").allowed
    assert reach(caller, Action.READ, ["shop", "billing"]) == {"shop"}
    stranger = principal_of(token(set(Scope), User(name="bob", roles={"billing": Role.ADMIN}), "shop"))
    assert reach(stranger, Action.READ, ["shop", "billing"]) == frozenset()


def test_no_token_may_what_only_an_admin_may_not_even_an_admins() -> None:
    caller = principal_of(token(set(Scope), User(name="ada", role=Role.ADMIN)))
    decision = may(caller, Action.ADMIN, "shop")
    assert not decision.allowed
    assert decision.scope is None


def test_claiming_is_less_than_saying_what_became_of_an_incident() -> None:
    assert {action_of("claimed"), action_of("released")} == {Action.CLAIM}
    assert {action_of(state) for state in ("open", "resolved", "muted", "noise", "not_noise")} == {
        Action.STATE
    }


def grant(scopes: set[Scope], user: User | None) -> Grant:
    return Grant(
        id="g", client_id="c", client_name="Claude Code", user=user, scopes=tuple(scopes), audience="/mcp",
        created_at=NOW, expires_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("scope", Scope)
def test_an_assistant_may_what_was_granted_and_its_person_may_now(
    role: Role, action: Action, scope: Scope
) -> None:
    caller = principal_of_grant(grant({scope}, User(name="ada", role=role)))
    assert caller.name == "ada (with Claude Code)"
    assert may(caller, action, "shop").allowed is (action in ALLOWED[role] and NEEDED[action] is scope)


def test_what_an_assistant_lacks_a_person_can_be_asked_for() -> None:
    decision = may(principal_of_grant(grant({Scope.READ}, None)), Action.FIX, "shop")
    assert "connect the assistant again and tick it" in decision.why
    assert "token create" not in decision.why


@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        (None, EVERY_SCOPE),
        (User(name="ada", role=Role.RESPONDER), EVERY_SCOPE),
        (User(name="ada", role=Role.VIEWER), {Scope.READ}),
        (User(name="ada", role=Role.VIEWER, roles={"shop": Role.RESPONDER}), EVERY_SCOPE),
        (User(name="ada", roles={"gone": Role.RESPONDER}), set()),
        (User(name="ada"), set()),
    ],
)
def test_a_person_can_grant_what_they_may_do_in_some_project(user: User | None, scopes: set[Scope]) -> None:
    assert scopes_of(principal_of_person(user), ["shop", "billing"]) == scopes
