"""A patch by a model: from checked claims and code only, in a conversation of its own. The judge decides, as ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from fixloop.agent.desk import Desk
from fixloop.agent.roles import Role
from fixloop.agent.turns import Talk, converse
from fixloop.fixers import FixCase
from fixloop.fixers.edits import Edit, patch_of
from fixloop.investigate.pack import gather
from fixloop.investigate.telling import claims, code_parts, fenced
from fixloop.tools import Refused
from fixloop.tools.code import CodeTools
from store.errors import BudgetSpent, Unavailable
from store.repair import Patch, Validation

ROUNDS = 3
_STRING = {"type": "string"}
_EDIT = {
    "type": "object", "properties": dict.fromkeys(("repo", "path", "old", "new"), _STRING),
    "required": ["repo", "path", "old", "new"], "additionalProperties": False,
}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"edits": {"type": "array", "items": _EDIT}, "rationale": _STRING},
    "required": ["edits", "rationale"],
    "additionalProperties": False,
}


class _Answer(BaseModel):
    edits: list[Edit]
    rationale: str = ""


class ModelFixer:
    """At most three rounds in all: edits that cannot be applied and patches that do not hold are told, and tried
    again."""

    name = "model"

    def __init__(self, desk: Desk, roles: Sequence[Role]) -> None:
        self._desk = desk
        self._role = next((role for role in roles if role.stage == "fix"), None)
        self._advisers = [role for role in roles if role.stage == "validate"]
        self._messages: list[dict[str, Any]] = []
        self._rounds = 0

    def propose(self, case: FixCase) -> Sequence[Patch]:
        """The first patch that can be applied, if there is one."""
        self._messages, self._rounds = [], 0
        return self._asked(case, _opening(case))

    def revise(self, case: FixCase, patch: Patch, validation: Validation) -> Sequence[Patch]:
        """Another try, told what the judge found."""
        if validation.rule and validation.verdict == "refused":
            self._desk.refuse(validation.rule, validation.said)
        found = fenced(
            "what the judge found", f"{validation.verdict} {validation.rule or ''}: {validation.said}"
        )
        advice = [self._advised(role, case, patch, found) for role in self._advisers]
        parts = [f"The patch is not kept. {found}", *filter(None, advice), "Give another, or no edits."]
        return self._asked(case, "\n\n".join(parts))

    def _asked(self, case: FixCase, opening: str) -> Sequence[Patch]:
        try:
            return self._tried(case, opening)
        except (BudgetSpent, Unavailable) as problem:
            self._desk.said.append(str(problem))
            return ()

    def _tried(self, case: FixCase, opening: str) -> Sequence[Patch]:
        role = self._role
        while role is not None and self._rounds < ROUNDS:
            self._rounds += 1
            known = {tool.name: tool for tool in CodeTools(case.bench).all()}
            tools = [known[name] for name in role.tools if name in known]
            talk = Talk(role.name, role.system, opening, tools, SCHEMA, role.turns)
            said = converse(self._desk, talk, self._messages)
            self._messages = said.messages
            if said.stop in {"refused", "stuck", "turns", "cut"}:
                self._desk.said.append(f"no patch: the conversation ended as {said.stop}")
                return ()
            opening = "That is not JSON of the form that was asked for. Give edits and a rationale."
            answer = _read(said.text)
            if answer is None:
                continue
            if not answer.edits:
                self._desk.said.append(f"the model gives no patch: {answer.rationale[:300]}")
                return ()
            try:
                made = patch_of(answer.edits, case.bench, self.name, answer.rationale[:1000] or "by a model")
            except Refused as refusal:
                self._desk.refuse(refusal.rule, str(refusal))
                made = f"Refused ({refusal.rule}): {refusal}."
            if isinstance(made, Patch):
                return [made]
            opening = f"{made} Give all edits again."
        return ()

    def _advised(self, role: Role, case: FixCase, patch: Patch, found: str) -> str:
        """What a validator of the team says of a patch that was turned down."""
        known = {tool.name: tool for tool in CodeTools(case.bench).all()}
        tools = [known[name] for name in role.tools if name in known]
        diffs = "\n".join(patch.diffs.values())
        try:
            said = converse(
                self._desk,
                Talk(role.name, role.system, f"{fenced('patch', diffs)}\n\n{found}", tools, None, role.turns),
            )
        except (BudgetSpent, Unavailable):
            return ""
        return fenced(f"advice of {role.name}", said.text) if said.text else ""


def _read(text: str) -> _Answer | None:
    try:
        return _Answer.model_validate(json.loads(text))
    except (ValueError, ValidationError, RecursionError):
        return None


def _opening(case: FixCase) -> str:
    """Checked claims, the proven cause, the code, and the test that a fix has to pass: no words of an event beside the
    values that the test needs."""
    pack = gather(case.situation, (), case.bench)
    parts = [fenced("claims that were checked", claims(case.hypotheses) or "none")]
    if case.cause is not None:
        change = case.cause.change
        what = f"{change.repo} {change.commit} {change.title}\n{change.said}\n{change.hunks or ''}"
        parts.append(fenced(f"the change that did it ({change.verdict})", what[:6000]))
    parts += code_parts(pack.code[:6])
    if case.reproducer is not None:
        test = case.reproducer
        parts.append(f"The test below fails now and has to pass; how it knows what is right: {test.oracle}.")
        parts.append(fenced(f"{test.repo} {test.test_path}, which you cannot change", test.source[:8000]))
    parts.append("Give the edits.")
    return "\n\n".join(parts)
