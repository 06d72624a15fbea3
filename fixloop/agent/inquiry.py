"""Hypotheses by a model: gather, conclude, check, at most three rounds. What does not hold never leaves this room."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from fixloop.agent.desk import Desk
from fixloop.agent.roles import EVENT_TOOLS, Role
from fixloop.agent.turns import Said, Talk, converse
from fixloop.bench import Bench
from fixloop.investigate.checker import Checker
from fixloop.investigate.pack import Pack
from fixloop.investigate.telling import fenced, told
from fixloop.tools import Tool
from fixloop.tools.code import CodeTools
from fixloop.tools.evidence import EvidenceTools
from store.errors import BudgetSpent, Unavailable
from store.repair import Evidence, Hypothesis, Prediction

ROUNDS = 3
MOST = 4  # hypotheses
CITED = 12  # citations of one
_OBSERVED = 24_000  # characters of what the tools gave that the conclusion is drawn from
_TEXT = {"type": ["string", "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_CITATION = _object(
    kind={"type": "string", "enum": ["event_field", "code_line", "commit", "log_line", "document", "span"]},
    claim={"type": "string"}, supports={"type": "boolean"}, event={"type": ["integer", "null"]}, pointer=_TEXT,
    repo=_TEXT, commit=_TEXT, path=_TEXT, line={"type": ["integer", "null"]}, quote=_TEXT,
)  # fmt: skip
SCHEMA = _object(
    hypotheses={
        "type": "array",
        "items": _object(
            statement={"type": "string"}, kind={"type": "string"},
            evidence={"type": "array", "items": _CITATION},
            suspect={"anyOf": [_object(repo={"type": "string"}, commit={"type": "string"}), {"type": "null"}]},
        ),
    },
    missing={"type": "array", "items": {"type": "string"}},
)  # fmt: skip


class _Citation(BaseModel):
    kind: str
    claim: str = ""
    supports: bool = True
    event: int | None = None
    pointer: str | None = None
    repo: str | None = None
    commit: str | None = None
    path: str | None = None
    line: int | None = None
    quote: str | None = None


class _Suspect(BaseModel):
    repo: str
    commit: str


class _Claim(BaseModel):
    statement: str
    kind: str = "change"
    evidence: list[_Citation] = []
    suspect: _Suspect | None = None


class _Conclusion(BaseModel):
    hypotheses: list[_Claim] = []
    missing: list[str] = []


class ModelInvestigator:
    """The roles before the fix. `drills` are further tools that only read."""

    name = "model"

    def __init__(self, desk: Desk, roles: Sequence[Role], bench: Bench, drills: Sequence[Tool] = ()) -> None:
        self._desk, self._roles, self._bench, self._drills = desk, roles, bench, drills

    def investigate(self, pack: Pack) -> Sequence[Hypothesis]:
        """What holds; nothing where the model is not there, or its budget is used up: the rest of the night goes on
        without it, and the record says why."""
        try:
            return self._investigate(pack)
        except (BudgetSpent, Unavailable) as problem:
            self._desk.said.append(str(problem))
            return ()

    def _investigate(self, pack: Pack) -> Sequence[Hypothesis]:
        notes: list[str] = []
        observed: list[tuple[str, str]] = []
        for role in self._staged("gather"):
            opening = "\n\n".join([told(pack), *notes])
            said = converse(self._desk, self._talk(role, opening, pack))
            observed += said.observed
            if said.text:
                notes.append(fenced(f"notes of {role.name} ({said.stop})", said.text))
        best: Sequence[Hypothesis] = ()
        for role in self._staged("conclude"):
            best = [*best, *self._concluded(role, pack, observed, notes)]
        return tuple(best[: 2 * MOST])

    def _concluded(
        self, role: Role, pack: Pack, observed: Sequence[tuple[str, str]], notes: Sequence[str]
    ) -> Sequence[Hypothesis]:
        """What the role says, once something of it holds; each round it is told what did not."""
        checker = Checker(pack, self._bench.repositories)
        opening = "\n\n".join([told(pack), *_seen(observed), *notes, "State your hypotheses."])
        before: Sequence[dict[str, Any]] = ()
        for _ in range(ROUNDS):
            said = converse(self._desk, self._talk(role, opening, pack, SCHEMA), before)
            proposed = self._read(said, pack)
            checked = checker.check(proposed or ())
            for why in checked.dropped:
                self._desk.refuse("citation", why)
            if checked.hypotheses or (proposed is not None and not proposed) or said.stop == "refused":
                return checked.hypotheses
            before = said.messages
            told_why = "\n".join(checked.dropped[:12]) or "It is not JSON of the form that was asked for."
            opening = (
                f"Nothing of that holds:\n{told_why}\nState only what can be opened, or give no hypotheses."
            )
        return ()

    def _talk(self, role: Role, opening: str, pack: Pack, schema: dict[str, Any] | None = None) -> Talk:
        known = {tool.name: tool for tool in
                 (*EvidenceTools(pack).all(), *CodeTools(self._bench).all(), *self._drills)}  # fmt: skip
        every = (*EVENT_TOOLS, *(tool.name for tool in self._drills))
        names = dict.fromkeys(
            name for wanted in role.tools for name in (every if wanted == "*" else (wanted,))
        )
        tools = [known[name] for name in names if name in known]
        return Talk(role.name, role.system, opening, tools, schema, role.turns)

    def _staged(self, stage: str) -> Iterator[Role]:
        return (role for role in self._roles if role.stage == stage)

    def _read(self, said: Said, pack: Pack) -> list[Hypothesis] | None:
        """The hypotheses of an answer; None where it is none."""
        if said.stop != "answered":
            if said.stop == "refused":
                self._desk.said.append("the model refused to answer")
            return None
        try:
            conclusion = _Conclusion.model_validate(json.loads(said.text))
        except (ValueError, ValidationError, RecursionError):
            return None
        self._desk.missing += [
            text[:300] for text in conclusion.missing[:8] if text not in self._desk.missing
        ]
        return [
            self._hypothesis(number, claim, pack)
            for number, claim in enumerate(conclusion.hypotheses[:MOST], 1)
        ]

    def _hypothesis(self, number: int, claim: _Claim, pack: Pack) -> Hypothesis:
        suspect = claim.suspect
        commit = None
        if suspect is not None and suspect.repo in pack.commits:
            commit = self._bench.repositories.get(suspect.repo).resolve(suspect.commit)
        test = Prediction(repo=suspect.repo, commit=commit) if suspect and commit else None
        return Hypothesis(
            id=f"M{number}", statement=claim.statement[:600], location=pack.own[-1].location if pack.own else None,
            kind=claim.kind[:40], score=round(0.7 - 0.1 * number, 2), by=self.name, test=test,
            evidence=tuple(_evidence(cited, pack) for cited in claim.evidence[:CITED]),
            predicts="the release works again without what that commit changed" if test else "",
        )  # fmt: skip


def _evidence(cited: _Citation, pack: Pack) -> Evidence:
    number = cited.event
    known = number is not None and 0 <= number < len(pack.events)
    event = pack.events[number].event_id if number is not None and known else None
    return Evidence(
        kind=cited.kind, claim=cited.claim[:300], supports=cited.supports, event_id=event,
        span_id=cited.pointer if cited.kind == "span" else None, pointer=cited.pointer, repo=cited.repo,
        commit=cited.commit, path=cited.path, line=cited.line, quote=cited.quote,
    )  # fmt: skip


def _seen(observed: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What the tools gave, the newest first, as far as there is room."""
    room = _OBSERVED
    for call, text in reversed(observed):
        room -= len(text)
        if room < 0:
            return
        yield fenced(f"what {call} gave", text)
