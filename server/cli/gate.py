"""`nightdesk gate`: may this change be merged, as far as incidents' tests go?"""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, emit, json_option, table
from server.repairs.gate import judge


@click.command()
@click.option(
    "--results", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="The JUnit report of the tests, as `pytest --junitxml=FILE` writes it.",
)  # fmt: skip
@click.option(
    "--base", metavar="COMMIT", help="What it is to be merged into: its incident tests must still be here."
)
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
def command(results: Path, base: str | None, folder: Path, as_json: bool) -> None:
    """Look whether the test of every incident is in the checkout FOLDER, was run, and passed. Nothing is run here. Exit
    code 3: at least one is not."""
    found = judge(folder, base, results)
    blocked = [one for one in found if one.why is not None]
    rows = [(one.incident, one.path, one.why or "passed") for one in found]
    passed = len(found) - len(blocked)
    head = (
        f"{passed} of {len(found)} incident tests passed." if found else "There are no incident tests here."
    )
    emit(
        {"passed": not blocked, "tests": found},
        "\n".join([head, *([table(rows)] if rows else [])]),
        as_json=as_json,
    )
    if blocked:
        raise SystemExit(NO)
