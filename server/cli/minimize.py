"""`nightdesk minimize`: a failing test that exists, with less in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from fixloop.existing import shrink
from server.cli.output import common, emit, open_house
from server.repairs.existing_tests import existing_test
from store.errors import BadPayload


@click.command()
@click.argument("test", metavar="FILE::NAME")
@click.option("--repo", help="The repository that the test is for, where that leaves a doubt.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the smaller test file here.",
)
@common
def command(test: str, repo: str | None, output: Path | None, data: Path | None, as_json: bool) -> None:
    """Take statements and parts of literals out of a failing test while it fails for the same reason. Prints the file;
    nothing is overwritten but what `-o` names."""
    if "::" not in test:
        raise BadPayload("Name one test of the file: FILE::NAME.")
    with open_house(data) as house:
        existing, bench = existing_test(house, test, repo)
        smaller = shrink(existing, bench)
    if output is not None:
        output.write_text(smaller.source, encoding="utf-8")
    head = (
        f"# {smaller.size_before} to {smaller.size_after} characters in {smaller.runs} runs: {smaller.reason}"
    )
    emit(asdict(smaller), f"{head}\n{smaller.source}", as_json=as_json)
