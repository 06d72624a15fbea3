"""`nightdesk eval`: measure the product on labelled data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from fixloop.changes.model import FUNCTIONS, TRACE
from server.cli.causes_tables import causes_tables
from server.cli.evaluating import case_line, cases_json, crash_tables, trace_tables
from server.cli.measuring import grouping_table, noise_table
from server.cli.output import emit, json_option, visible
from server.evaluation import traces as trace_grammars
from server.evaluation.cases import find_cases, hashed_name, public_case
from server.evaluation.change_cases import asked, read_cases
from server.evaluation.changes import Asked, Outcome, ask_all, score, summary
from server.evaluation.crashes import CaseResult, Settings, run_cases
from server.evaluation.grouping import group_file
from server.evaluation.grouping import summary as grouping_summary
from server.evaluation.labels import read_labels, score_case
from server.evaluation.labels import summary as crash_summary
from server.evaluation.noise import measure
from server.evaluation.noise_rows import read_rows
from store.errors import NotFound


@click.group()
def command() -> None:
    """Measure the product on labelled data. Labels are read after the last case has ended."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--repos", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Histories: one git folder for each repository, as owner+name/repo.")  # fmt: skip
@click.option("--events", type=click.Choice(["one", "all"]), default="one", show_default=True,
              help="The crash alone, or everything that the application sent.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Keep incident.json, the test and the patch of each case here.")  # fmt: skip
@click.option("--only", multiple=True, metavar="CASE", help="Only this case, by its hashed name; repeatable.")
@click.option("--seconds", type=click.FloatRange(min=1), default=300.0, show_default=True,
              help="Time for one repair.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cases at a time.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False),
              help="Where environments are prepared. Default: below the temporary folder.")  # fmt: skip
@json_option
def crashes(
    path: Path,
    repos: Path | None,
    events: str,
    out: Path | None,
    only: tuple[str, ...],
    seconds: float,
    jobs: int,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Run recorded crashes through the whole loop. PATH holds a folder for each case.

    Of a case only its events, its requirements, its deployments and the history up to the incident are
    shown to the product; the answers are read after the last case has ended.
    """
    folders = {hashed_name(folder): folder for folder in find_cases(path)}
    for name in only:
        if name not in folders:
            raise NotFound(f"There is no case {name!r} in {path}.")
    chosen = {name: folder for name, folder in folders.items() if not only or name in only}
    cases = [public_case(folder, repos, every_event=events == "all") for folder in chosen.values()]
    kept = cache or Path(tempfile.gettempdir()) / "nightdesk-environments"
    settings = Settings(cache=kept, out=out, seconds=seconds, every_focus=events == "all")

    def note(result: CaseResult) -> None:
        if not as_json:
            click.echo(visible(case_line(result)), err=True)

    results = run_cases(cases, settings, jobs, note)
    scored = [score_case(result, read_labels(chosen[result.case])) for result in results]
    rates = crash_summary(scored)
    emit({"summary": rates, "cases": cases_json(scored)}, crash_tables(scored, rates), as_json=as_json)


@command.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--train", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Labels to calibrate on first, as a team would; another file of the same form.")  # fmt: skip
@json_option
def noise(path: Path, train: Path | None, as_json: bool) -> None:
    """Signal or noise: labelled events through triage, each source apart. PATH holds JSON lines (or .gz).

    Cold, nothing is learnt from PATH: the thresholds are the ones that are shipped, or come from --train.
    """
    found, cases = measure(read_rows(path), read_rows(train) if train else ())
    emit({"summary": found, "cases": [case.shown for case in cases]}, noise_table(found), as_json=as_json)


@command.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def grouping(path: Path, as_json: bool) -> None:
    """Which events are one: fingerprints against labelled groups. PATH holds JSON lines or CSV (or .gz)."""
    events = group_file(path)
    found = grouping_summary(events)
    cases = [
        {"id": one.id, "source": one.source, "group": one.wanted, "key": one.made, "parts": list(one.parts)}
        for one in events
    ]
    emit({"summary": found, "cases": cases}, grouping_table(found), as_json=as_json)


@command.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
def traces(path: Path, as_json: bool) -> None:
    """Read texts with stack traces in them, and compare with what should be found.

    PATH holds texts; the label of x.txt is x.expected.json. Texts without a label are read too, and only shown.
    """
    cases = trace_grammars.measure(path)
    if not cases:
        raise NotFound(f"There is no text in {path}.")
    rates = trace_grammars.summary(cases)
    rows = [case.model_dump(mode="json") for case in cases]
    emit({"summary": rates, "cases": rows}, trace_tables(cases, rates), as_json=as_json)


@command.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--repos", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True,
              help="Histories: one git folder for each repository, as owner+name[/repo].")  # fmt: skip
@click.option("--window", "windows", type=click.IntRange(min=1), multiple=True, default=(365,), show_default=True,
              metavar="DAYS", help="How far back changes are considered; repeatable.")  # fmt: skip
@click.option("--input", "kind", type=click.Choice([TRACE, FUNCTIONS]), default=TRACE, show_default=True,
              help="Ask with the trace's text, or with the functions that turned out to be at fault.")  # fmt: skip
@click.option("--repo", "only", multiple=True, metavar="OWNER/NAME", help="Only this repository; repeatable.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cases at a time.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False),
              help="Where indexes are kept. Default: below the temporary folder.")  # fmt: skip
@json_option
def causes(
    path: Path,
    repos: Path,
    windows: tuple[int, ...],
    kind: str,
    only: tuple[str, ...],
    jobs: int,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Rank the changes behind labelled failures. PATH is a file of JSON lines, or a folder with such files.

    Of a case only its trace (or the names of its functions) and the history that its commit reaches are shown to the
    product; the culprits are compared afterwards. Cases without a trace are left out when asked by trace.
    """
    cases = [case for case in read_cases(path) if asked(case[0], kind) and (not only or case[0].repo in only)]
    if not cases:
        raise NotFound(f"No case in {path} can be asked by {kind}.")
    kept = cache or Path(tempfile.gettempdir()) / "nightdesk-histories"
    done = 0

    def note(result: Asked) -> None:
        nonlocal done
        done += 1
        if not as_json:
            click.echo(
                visible(f"{done:5} {result.seconds:6.2f} s  {result.id}  {result.problem or ''}"), err=True
            )

    found: dict[int, list[Outcome]] = {}
    for days in windows:
        results = ask_all([question for question, _ in cases], repos, kept, kind, days, jobs, note)
        found[days] = [score(result, answer) for result, (_, answer) in zip(results, cases, strict=True)]
    summed = {days: summary(outcomes, days) for days, outcomes in found.items()}
    last = windows[-1]
    report = {
        "summary": {**summed[last], "windows": summed},
        "cases": [one.model_dump(mode="json") for one in found[last]],
    }
    emit(report, causes_tables(found[last], summed, last), as_json=as_json)
