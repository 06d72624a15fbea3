"""Elixir and Erlang: what the runtime prints of an exception, an exit or a thrown value."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_indentation
from triage.languages.reading import exception, frame, lines_of
from triage.words import words

_HEADER = re.compile(
    r"^(?P<before>.{0,200}?)\*\* (?:\((?P<type>[A-Za-z_][\w.: ]*?)(?: from #PID<[\d.]+>)?\)) ?(?P<value>.*)$"
)
_FRAME = re.compile(
    r"^\s+(?:\((?P<app>[\w.-]+)(?: (?P<version>[^)]+))?\) )?(?P<path>[\w./@+ -]*\w\.(?:exs?|eex|heex|l"
    r"eex|erl|hrl|yrl|xrl)|iex|nofile):(?P<line>\d+): (?P<function>\S.*)$"
)
_NO_PLACE = re.compile(
    r"^ {4}\s*(?:\((?P<app>[\w.-]+)(?: (?P<version>[^)]+))?\) )?(?P<function>(?::?[\w.\"!?@]+\.)+[\w\""
    r"!?@<>=+*/-]+(?:/\d+|\(.*\)))$"
)
_LIBRARY_APPS = frozenset(
    words(
        """
    elixir stdlib kernel erts eex ex_unit logger mix iex compiler ssl inets crypto phoenix phoenix_live_view
    phoenix_html phoenix_pubsub plug plug_cowboy plug_crypto cowboy cowlib ranch bandit thousand_island ecto ecto_sql
    db_connection postgrex myxql decimal jason telemetry oban broadway gen_stage absinthe finch mint req tesla hackney
    """
    )
)
_LIBRARY = re.compile(
    r"(^|/)deps/|/_build/|/lib/elixir/|^(gen_server|gen_statem|proc_lib|supervisor|erl_eval|timer|lists)\.erl$"
)
_DEFINITION = re.compile(
    r"^(?P<indent>[ \t]*)(?:defmodule|defp?|defmacrop?|defprotocol|defimpl)\s+(?P<name>[A-Za-z_][\w.]*[?!]?)"
)
MESSAGE_LINES = 30


class Elixir:
    """The `Language` of Elixir."""

    name = "elixir"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every exception that is printed after two stars."""
        if "** (" not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = 0
        while at < len(lines):
            head = _HEADER.match(lines[at]) if "** (" in lines[at] else None
            if head is None or not head["type"]:
                at += 1
                continue
            message, at = _message(lines, at, head)
            if head["type"] == "EXIT" and at < len(lines) and "** (" in lines[at]:
                continue  # why it exited follows
            frames: list[Frame] = []
            while at < len(lines) and (match := _FRAME.match(lines[at]) or _NO_PLACE.match(lines[at])):
                frames.append(self._frame(match))
                at += 1
            found.append([exception(head["type"], message, frames)])
        return found

    def in_app(self, path: str) -> bool:
        """False for fetched dependencies and for files of OTP."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Module and function around a line, by indentation."""
        return by_indentation(source, line, _DEFINITION)

    def _frame(self, match: re.Match[str]) -> Frame:
        groups = match.groupdict()
        app, path = groups["app"], groups.get("path")
        own = path is not None and app not in _LIBRARY_APPS and self.in_app(path)
        return frame(groups["function"], path, groups.get("line"), module=app, in_app=own)


def _message(lines: list[str], at: int, head: re.Match[str]) -> tuple[str, int]:
    """The message, on to the first frame where there is one; else the one line."""
    for end in range(at + 1, min(len(lines), at + MESSAGE_LINES)):
        if _FRAME.match(lines[end]) or _NO_PLACE.match(lines[end]):
            return "\n".join([head["value"], *(line.strip() for line in lines[at + 1 : end])]).rstrip(), end
        if "** (" in lines[end] and (head["type"] == "EXIT" or not lines[end].startswith(" ")):
            break
    return head["value"], at + 1
