"""`nightdesk flake-scan`: run a test that exists many times."""

from __future__ import annotations

from pathlib import Path

import click

from fixloop.existing import scan
from fixloop.flake import miss_bound
from server.cli.output import NO, common, emit, open_house
from server.repairs.existing_tests import existing_test


@click.command()
@click.argument("test", metavar="FILE[::NAME]")
@click.option(
    "--runs", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How often it is run."
)
@click.option("--repo", help="The repository that the test is for, where that leaves a doubt.")
@common
def command(test: str, runs: int, repo: str | None, data: Path | None, as_json: bool) -> None:
    """Run a test in forks of one warm process, then cold and with other hash seeds: does it fail always, sometimes or
    never? For sometimes what decides it is looked for (draws, time, race, order); exit 3."""
    with open_house(data) as house:
        existing, bench = existing_test(house, test, repo)
        found = scan(existing, bench, runs)
    counts = {"runs": found.scan.runs, "failures": found.scan.hits, "cold_runs": found.cold.runs,
              "cold_failures": found.cold.hits, "seeded_runs": found.seeded.runs,
              "seeded_failures": found.seeded.hits}  # fmt: skip
    misses = min(found.scan.hits, found.scan.runs - found.scan.hits)
    bound = miss_bound(found.scan.runs, misses)
    cold = f"{found.cold.hits} of {found.cold.runs} cold"
    told = found.behind.said if found.behind else "nothing that was held still decides it"
    said = f"{found.verdict}: {found.scan.hits} of {found.scan.runs} runs failed, {cold}"
    lines = [
        said,
        f"95 % bound of the other outcome: {bound:.2%}",
        *(f"{times}x {why}" for why, times in found.reasons),
        *([f"quarantine: {told}"] if found.verdict == "sometimes" else []),
    ]
    emit(
        {
            "verdict": found.verdict,
            **counts,
            "bound": bound,
            "reasons": found.reasons,
            "behind": found.behind.name if found.behind else None,
        },
        "\n".join(lines),
        as_json=as_json,
    )
    if found.verdict == "sometimes":
        raise SystemExit(NO)
