"""Ask, act, observe, until an answer or a limit. What is asked for is read, and nothing else is done.

Tools are run only where the model stopped for them: a call that was cut arrives with empty arguments. A call that was
made already is answered with where its answer stands; who repeats themselves is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fixloop.agent.desk import Desk
from fixloop.tools import NoSuch, Refused, Tool
from store.errors import NightdeskError

TURNS = 6
REPEATS = 3  # repeated calls after which a conversation is stuck
CUTS = 2  # answers cut by max_tokens that are asked for again
AT_ONCE = 8  # calls of one turn that are run


@dataclass(frozen=True)
class Talk:
    """One conversation: what the role is told, what it is given, what it may read, and the form of its answer."""

    role: str
    system: str
    opening: str
    tools: Sequence[Tool] = ()
    schema: dict[str, Any] | None = None
    turns: int = TURNS


@dataclass
class Said:
    """What came of it. `stop`: answered, turns, stuck, cut, refused (by the model), malformed."""

    text: str = ""
    stop: str = "turns"
    observed: list[tuple[str, str]] = field(default_factory=list)  # (call, what it gave)
    messages: list[dict[str, Any]] = field(default_factory=list)


def converse(desk: Desk, talk: Talk, before: Sequence[dict[str, Any]] = ()) -> Said:
    """Hold a conversation, or go on with one (`before` are its messages). Raises BudgetSpent, Unavailable."""
    conversation = _Conversation(desk, talk, before)
    for _ in range(talk.turns):
        if conversation.turn():
            break
    return conversation.said


class _Conversation:
    def __init__(self, desk: Desk, talk: Talk, before: Sequence[dict[str, Any]]) -> None:
        self._desk, self._talk = desk, talk
        self._tools = {tool.name: tool for tool in talk.tools}
        self._asked: dict[str, int] = {}
        self._repeats = self._cuts = 0
        opening = {"role": "user", "content": [{"type": "text", "text": talk.opening}]}
        self.said = Said(messages=[*before, opening])

    def turn(self) -> bool:
        """One request and what it leads to; True where the conversation is over."""
        message = self._desk.ask(self._talk.role, self._body())
        content = [block for block in message.get("content", []) if isinstance(block, dict)]
        texts = [str(block.get("text", "")) for block in content if block.get("type") == "text"]
        self.said.text = "\n".join(text for text in texts if text.strip())
        match message.get("stop_reason"):
            case "tool_use":
                return self._act(content)
            case "max_tokens":
                return self._cut()
            case "pause_turn":
                return not self._keep(content)
            case "refusal":
                return self._end("refused")
            case "end_turn" | "stop_sequence":
                self._keep([block for block in content if block.get("type") == "text"])
                return self._end("answered" if self.said.text else "malformed")
            case _:
                return self._end("malformed")

    def _body(self) -> dict[str, Any]:
        """The request. What does not change comes first and is marked for the cache, and so is the newest message."""
        body: dict[str, Any] = {
            "system": [
                {"type": "text", "text": self._talk.system, "cache_control": {"type": "ephemeral"}},
            ],
            "messages": _marked(self.said.messages),
        }
        if self._tools:
            body["tools"] = [tool.definition() for tool in self._tools.values()]
        if self._talk.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": self._talk.schema}}
        return body

    def _end(self, stop: str) -> bool:
        self.said.stop = stop
        return True

    def _keep(self, content: Sequence[dict[str, Any]]) -> bool:
        """Take an answer into the conversation, without the empty texts that the API does not take back."""
        kept = [
            block for block in content if block.get("type") != "text" or str(block.get("text", "")).strip()
        ]
        if kept:
            self.said.messages.append({"role": "assistant", "content": kept})
        return bool(kept)

    def _cut(self) -> bool:
        """The answer was cut: it is left out, and asked for again in fewer words."""
        self._cuts += 1
        if self._cuts > CUTS:
            return self._end("cut")
        nudge = {
            "type": "text",
            "text": "Your answer was cut at its greatest length. Answer in fewer words.",
        }
        last = self.said.messages[-1]
        self.said.messages[-1] = {**last, "content": [*last["content"], nudge]}
        return False

    def _act(self, content: Sequence[dict[str, Any]]) -> bool:
        """Run the calls of a turn, all of them answered in one message, in their order."""
        calls = [block for block in content if block.get("type") == "tool_use"]
        names = [block.get("id") for block in calls]
        if not calls or len(set(map(str, names))) != len(names) or not all(isinstance(n, str) for n in names):
            self._desk.refuse("malformed_call", "a call without an id of its own")
            return self._end("malformed")
        results = [self._result(call, number) for number, call in enumerate(calls)]
        self._keep([_given_back(block) for block in content])
        self.said.messages.append({"role": "user", "content": results})
        return self._end("stuck") if self._repeats >= REPEATS else False

    def _result(self, call: dict[str, Any], number: int) -> dict[str, Any]:
        failed, text = self._answer(call, number)
        if not failed:
            self.said.observed.append((_shown(call), text))
        result = {
            "type": "tool_result",
            "tool_use_id": call["id"],
            "content": [{"type": "text", "text": text}],
        }
        return {**result, "is_error": True} if failed else result

    def _answer(self, call: dict[str, Any], number: int) -> tuple[bool, str]:
        name, given = str(call.get("name")), call.get("input")
        tool = self._tools.get(name)
        if tool is None:
            self._desk.refuse("no_such_tool", _shown(call))
            return True, f"There is no tool of this name; there are {', '.join(self._tools) or 'none'}."
        if number >= AT_ONCE:
            return True, f"At most {AT_ONCE} calls at once; ask again."
        wrong = tool.fault(given)
        if wrong is not None:
            self._desk.refuse("malformed_call", f"{name}: {wrong}")
            return True, f"The call cannot be read: {wrong}."
        key = json.dumps([name, given], sort_keys=True)
        if key in self._asked:
            self._repeats += 1
            return True, f"You have asked this already (call {self._asked[key]}); its answer stands above."
        self._asked[key] = len(self._asked) + 1
        try:
            return False, tool.answer(given if isinstance(given, dict) else {})
        except Refused as refusal:
            self._desk.refuse(refusal.rule, f"{_shown(call)}: {refusal}")
            return True, f"Refused ({refusal.rule}): {refusal}."
        except (NoSuch, NightdeskError) as problem:
            return True, str(problem)


def _shown(call: dict[str, Any]) -> str:
    """A call in one line."""
    given = json.dumps(call.get("input"), ensure_ascii=True, sort_keys=True, default=str)
    return f"{str(call.get('name'))[:60]!s}({given[:200]})"


def _given_back(block: dict[str, Any]) -> dict[str, Any]:
    """A call as it is taken back by the API: arguments are an object, whatever they were."""
    if block.get("type") == "tool_use" and not isinstance(block.get("input"), dict):
        return {**block, "input": {}}
    return block


def _marked(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, the last one marked for the cache: the next request begins with all of them."""
    *rest, last = messages
    *blocks, end = last["content"]
    return [*rest, {**last, "content": [*blocks, {**end, "cache_control": {"type": "ephemeral"}}]}]
