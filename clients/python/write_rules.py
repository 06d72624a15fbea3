"""Copy the rules of redaction, and how fields are told, out of the server into the client, made fit for Python 3.9.

    python clients/python/write_rules.py

There is one set of rules, and the server's is it. The copies are in the distribution because an application must not
have to install the server; a test runs this and compares.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
TARGET = HERE / "nightdesk_capture" / "rules"
FOLDERS = {"field_shapes": "store"}  # of those that are not of triage
MODULES = (
    "words",
    "disguises",
    "sensitive",
    "redaction_rules",
    "tokens",
    "detectors",
    "capsule_walk",
    *FOLDERS,
)
HEAD = "# Written by write_rules.py from the server's {folder}/{name}.py: change it there.\n# ruff: noqa\n"
CHANGES = (
    ("from triage import", "from nightdesk_capture.rules import"),
    ("from triage.", "from nightdesk_capture.rules."),
    ("from store.errors import BadPayload", "from nightdesk_capture.errors import BadRules as BadPayload"),
    ("from typing import TypeAlias\n", "from typing import Any\n\nTypeAlias = Any\n"),
    ("int | float)", "(int, float))"),
    ("Row = tuple[str, str, str]", 'Row = "tuple[str, str, str]"'),
)


def written(name: str) -> str:
    """The text of one copied module."""
    folder = FOLDERS.get(name, "triage")
    text = (SOURCE / folder / f"{name}.py").read_text(encoding="utf-8")
    for old, new in CHANGES:
        text = text.replace(old, new)
    # assignments that only name a type: their right side would be evaluated by Pythons that lack `X | Y`
    text = re.sub(
        r"^(\w+): TypeAlias = (.+)$",
        lambda found: f"{found[1]}: TypeAlias = {_quoted(found[2])}",
        text,
        flags=re.M,
    )
    return HEAD.format(folder=folder, name=name) + text


def _quoted(text: str) -> str:
    return text if text.startswith('"') else f'"{text}"'


def main() -> None:
    """Write all of them."""
    for name in MODULES:
        (TARGET / f"{name}.py").write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
