"""`nightdesk reproduce`: the failing test of an incident."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.cli.repairing import leave, printer
from server.work.foreground import repair_here


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option(
    "--runs",
    type=click.IntRange(1, 10_000),
    help="How often the test is run to find out whether it is flaky.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the test to this file."
)
@common
def command(incident: str, runs: int | None, output: Path | None, data: Path | None, as_json: bool) -> None:
    """The failing test, minimal, scanned for flakes. Exit 3 where it was not reproduced."""
    with open_house(data) as house:
        if runs is not None:
            house.config = house.config.model_copy(update={"runs": runs})
        attempt = repair_here(house, incident, printer(as_json), until="minimise")
    test = attempt.reproducer
    if test is not None and output is not None:
        output.write_text(test.source, encoding="utf-8")
    if test is None:
        emit({"reproducer": None, "said": attempt.said}, attempt.said, as_json=as_json)
    else:
        times = f"{test.failures} of {test.runs}"
        head = f"# fails {times}, oracle {test.oracle}, for {test.repo}/{test.test_path}"
        emit({"reproducer": test, "said": attempt.said}, f"{head}\n{test.source}", as_json=as_json)
    leave(attempt, wanted=test is not None and test.failures == test.runs)
