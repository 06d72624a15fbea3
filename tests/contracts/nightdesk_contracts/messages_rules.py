"""What the Messages API takes and what it refuses, as rules over a request's body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

KNOWN = frozenset(
    {
        "model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "stop_sequences", "metadata",
        "output_config", "thinking", "service_tier", "cache_control", "container", "inference_geo", "speed",
    }
)  # fmt: skip
GONE = frozenset({"temperature", "top_p", "top_k"})
LARGEST = 32 << 20  # bytes
MOST_TOKENS = 21_333  # of an answer that is not streamed
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_BLOCKS = {
    "user": frozenset({"text", "tool_result", "image", "document"}),
    "assistant": frozenset({"text", "tool_use", "thinking", "redacted_thinking"}),
}


def faults(body: Any) -> Iterator[str]:
    """Everything that is wrong with a request, in the words of an `invalid_request_error`."""
    if not isinstance(body, dict):
        yield "the body is not an object"
        return
    for name in body:
        if name in GONE:
            yield f"{name}: no longer supported"
        elif name not in KNOWN:
            yield f"{name}: Extra inputs are not permitted"
    if not isinstance(body.get("model"), str) or not body.get("model"):
        yield "model: Field required"
    tokens = body.get("max_tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        yield "max_tokens: must be a positive integer"
    elif tokens > MOST_TOKENS and not body.get("stream"):
        yield "max_tokens: streaming is required for answers that may take longer than ten minutes"
    yield from _system(body.get("system"))
    yield from _tools(body)
    yield from _messages(body.get("messages"), bool(body.get("tools")))
    yield from _format(body.get("output_config"))
    if len(re.findall(r'"cache_control"', json.dumps(body))) > 4:
        yield "A maximum of 4 blocks with cache_control may be provided"


def _system(system: Any) -> Iterator[str]:
    if isinstance(system, list):
        for block in system:
            if (
                not isinstance(block, dict)
                or block.get("type") != "text"
                or not str(block.get("text", "")).strip()
            ):
                yield "system: text content blocks must be non-empty"
    elif system is not None and not isinstance(system, str):
        yield "system: has to be a text or a list of text blocks"


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    names: set[str] = set()
    for tool in body.get("tools") or ():
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield "tools: a name has to match ^[a-zA-Z0-9_-]{1,128}$"
            continue
        if name in names:
            yield f"tools: Tool names must be unique ({name})"
        names.add(name)
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield f"tools.{name}.input_schema.type: has to be object"
        elif tool.get("strict"):
            yield from (f"tools.{name}: {why}" for why in _strict(schema))
    choice = body.get("tool_choice")
    if choice is not None and not body.get("tools"):
        yield "tool_choice: may only be given with tools"


def _strict(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
        for value in schema.values():
            yield from _strict(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _strict(value)


def _format(config: Any) -> Iterator[str]:
    form = config.get("format") if isinstance(config, dict) else None
    if config is not None and not isinstance(config, dict):
        yield "output_config: has to be an object"
    if form is not None:
        if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
            yield "output_config.format: has to be a json_schema with its schema"
        else:
            yield from (f"output_config.format.schema: {why}" for why in _strict(form["schema"]))


def _messages(messages: Any, tools: bool) -> Iterator[str]:
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
        return
    if messages[0].get("role") != "user":
        yield "messages: first message must use the user role"
    if messages[-1].get("role") != "user":
        yield "messages: prefilling assistant messages is not supported"
    waiting: list[str] = []
    seen: set[str] = set()
    for number, message in enumerate(messages):
        role, blocks = message.get("role"), message.get("content")
        if role not in _BLOCKS:
            yield f"messages.{number}.role: has to be user or assistant"
            continue
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        if not isinstance(blocks, list) or not blocks:
            yield f"messages.{number}: all messages must have non-empty content"
            continue
        yield from _blocks(number, role, blocks)
        answers = [block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"]
        if role == "user":
            yield from _paired(number, waiting, answers, blocks)
            waiting = []
        elif waiting:
            yield f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after"
        for block in blocks:
            if block.get("type") == "tool_use":
                if not tools:
                    yield "tools: have to be given where messages hold tool_use blocks"
                if block.get("id") in seen:
                    yield f"messages.{number}: `tool_use` ids must be unique"
                seen.add(str(block.get("id")))
                waiting.append(str(block.get("id")))


def _blocks(number: int, role: str, blocks: list[Any]) -> Iterator[str]:
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS[role]:
            yield f"messages.{number}: a block of type {kind!r} may not stand in a message of the {role}"
        elif kind == "text" and not str(block.get("text", "")).strip():
            yield f"messages.{number}: text content blocks must be non-empty"
        elif kind == "tool_use" and not isinstance(block.get("input"), dict):
            yield f"messages.{number}: tool_use.input has to be an object"


def _paired(number: int, waiting: list[str], answers: list[Any], blocks: list[Any]) -> Iterator[str]:
    for name in waiting:
        if name not in answers:
            yield f"messages.{number}: `tool_use` id {name} was found without a `tool_result` block right after it"
    for name in answers:
        if name not in waiting:
            yield f"messages.{number}: unexpected `tool_use_id` {name}: no such call in the message before"
    if len(set(map(str, answers))) != len(answers):
        yield f"messages.{number}: each tool_use must have a single result"
    kinds = [block.get("type") == "tool_result" for block in blocks]
    if kinds != sorted(kinds, reverse=True):
        yield f"messages.{number}: tool_result blocks have to come first"
