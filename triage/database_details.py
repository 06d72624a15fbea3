"""What a database said of a failure, as fields: the constraint, the columns of the key and what was in them.

Drivers put the server's answer into the exception's text, in lines that are made for people. What they name is what a
reproducer has to plant, so it becomes the context `database` of the event.
"""

from __future__ import annotations

import re
from typing import Any

from store.event import Event

_MARKS = (
    "DETAIL",
    "onstraint",
    "uplicate",
    "Error 1",
    "errno",
    "ORA-",
    "SQLSTATE",
    "does not exist",
    "deadlock",
)
_KEY = re.compile(
    r"Key \((?P<columns>[^()=]{1,400})\)=\((?P<values>.{0,2000}?)\) (?P<what>already exists|is not pre"
    r"sent in table|is still referenced"
    r"|conflicts with existing key)(?: (?:in table|from table)?\s*\"?(?P<table>[\w.]+)\"?)?"
)
_FAILING_ROW = re.compile(r"Failing row contains \((?P<values>.{0,4000}?)\)\.?(?:\n|$)")
_CONSTRAINT = re.compile(r"violates (?P<kind>[a-z -]+?) constraint \"(?P<name>[^\"]{1,200})\"")
_NOT_NULL = re.compile(
    r"null value in column \"(?P<column>[^\"]{1,200})\"(?: of relation \"(?P<table>[^\"]{1,200})\")?"
)
_RELATION = re.compile(r"(?:on|in) (?:table|relation) \"(?P<table>[^\"]{1,200})\"")
_DETAIL = re.compile(r"\bDETAIL: +(?P<text>[^\n]{1,2000})")
_HINT = re.compile(r"\bHINT: +(?P<text>[^\n]{1,1000})")
_MYSQL = re.compile(r"Duplicate entry '(?P<value>.{0,1000}?)' for key '(?P<name>[^']{1,200})'")
_MYSQL_FOREIGN = re.compile(
    r"a foreign key constraint fails \(`[^`]+`\.`(?P<table>[^`]+)`, CONSTRAINT `(?P<name>[^`]+)` FOREI"
    r"GN KEY \(`(?P<columns>[^)]+)`\)"
)
_SQLITE = re.compile(
    r"(?P<kind>UNIQUE|NOT NULL|FOREIGN KEY|CHECK|PRIMARY KEY) constraint failed(?:: (?P<columns>[\w., ]{1,400}))?"
)
_STATE = re.compile(r"SQLSTATE(?:\[| |: ?)(?P<state>[0-9A-Z]{5})")
_SQL_SERVER = re.compile(
    r"Violation of (?P<kind>[A-Z ]+) constraint '(?P<name>[^']+)'\. Cannot insert duplicate key in obj"
    r"ect '(?P<table>[^']+)'\."
    r" The duplicate key value is \((?P<values>.{0,1000}?)\)"
)
_MONGO = re.compile(
    r"E11000 duplicate key error collection: (?P<table>\S+) index: (?P<name>\S+) dup key: \{ (?P<values>.{0,1000}?) \}"
)


def with_database_details(event: Event) -> Event:
    """The event with the context `database` where the text of an exception or the message has what a server said."""
    texts = [raised.value for raised in reversed(event.exceptions)]
    texts += [event.message] if event.message else []
    for text in texts:
        if any(mark in text for mark in _MARKS) and (found := database_details(text)):
            said = event.contexts.get("database")
            known = said if isinstance(said, dict) else {}
            return event.model_copy(update={"contexts": {**event.contexts, "database": {**found, **known}}})
    return event


def database_details(text: str) -> dict[str, Any]:
    """The fields that the text has: `kind`, `constraint`, `table`, `key` (column to value), `detail`, `hint`, …"""
    found: dict[str, Any] = {}
    for pattern in (_CONSTRAINT, _SQL_SERVER, _MYSQL, _MYSQL_FOREIGN, _MONGO):
        if match := pattern.search(text):
            groups = match.groupdict()
            _put(
                found,
                kind=(groups.get("kind") or "").lower() or None,
                constraint=groups["name"],
                table=groups.get("table"),
            )
            if groups.get("value") is not None or groups.get("values") is not None:
                _put(found, kind="unique", values=groups.get("value") or groups.get("values"))
            if groups.get("columns"):
                _put(found, kind="foreign key", columns=_columns(groups["columns"]))
    if match := _KEY.search(text):
        _put(found, key=_pairs(match["columns"], match["values"]), table=match["table"])
    if match := _SQLITE.search(text):
        names = _columns(match["columns"] or "")
        _put(found, kind=match["kind"].lower(), columns=names or None)
        _put(found, table=names[0].rpartition(".")[0] or None if names else None)
    if match := _NOT_NULL.search(text):
        _put(found, kind="not null", columns=[match["column"]], table=match["table"])
    if match := _FAILING_ROW.search(text):
        _put(found, row=match["values"].split(", "))
    for name, pattern, group in (("detail", _DETAIL, "text"), ("hint", _HINT, "text"), ("table", _RELATION, "table"),
                                 ("sqlstate", _STATE, "state")):  # fmt: skip
        if match := pattern.search(text):
            _put(found, **{name: match[group]})
    return found


def _put(found: dict[str, Any], **fields: Any) -> None:
    """Fields that are not there yet."""
    for name, value in fields.items():
        if value is not None:
            found.setdefault(name, value)


def _columns(text: str) -> list[str]:
    return [part.strip(' `"') for part in text.split(",") if part.strip()]


def _pairs(columns: str, values: str) -> dict[str, str] | str:
    """Column to value. Where a value has a comma in it nobody can tell which is which: the text then."""
    names, parts = _columns(columns), values.split(", ")
    if len(names) == 1:
        return {names[0]: values}
    return dict(zip(names, parts, strict=True)) if len(names) == len(parts) else values
