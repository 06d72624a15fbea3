"""What every command shares: the options `--data` and `--json`, and printing for people or for programs.

Text that came over the wire may hold terminal control sequences; nothing is printed before they are made
visible.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic_core import to_jsonable_python

from server.config import load
from server.house import House

NO = 3  # the exit code for "no" as a result: nothing found, not reproduced, not proven

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(function: Command) -> Command:
    """Add `--data DIR`."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="The data folder (else $NIGHTDESK_DATA, ./.nightdesk, or the user's own).",
    )(function)


def json_option(function: Command) -> Command:
    """Add `--json`, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def common(function: Command) -> Command:
    """Add the options that every printing command has."""
    return data_option(json_option(function))


def open_house(data: Path | None) -> AbstractContextManager[House]:
    """The house on the data folder that the options and the environment name."""
    return House.open(load(data))


def visible(text: str) -> str:
    """Text with control characters and direction marks replaced by escapes that can be read."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def emit(value: object, text: str, *, as_json: bool) -> None:
    """Print `value` as JSON or `text` for people."""
    click.echo(as_json_text(value) if as_json else visible(text).rstrip("\n"))


def as_json_text(value: object) -> str:
    """JSON with two spaces of indentation; control characters as `\\u…` escapes."""
    text = json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Rows as left-aligned columns, two spaces apart; the last column is not padded."""
    cells = [[visible(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]
        ).rstrip()
        for row in cells
    )


def fields(values: Mapping[str, object]) -> str:
    """`name  value` lines with the names aligned; values that are None or empty are left out."""
    return table([(name, value) for name, value in values.items() if value not in (None, "", (), [])])
