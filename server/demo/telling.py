"""What the demo says: steps as they land, and the end. Plain text; nothing here decides anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from server.demo.story import Told

_WIDTH = 78
_ORACLES = {
    "parent_value": "the answer that was given before the change that was proven to be the cause",
    "sibling_contract": "what the same code promises for its neighbours",
    "invariant": "a property that is stated in the code",
    "no_crash": "only that this failure is gone",
}
_CHECKS = (
    ("the test fails before", "fails_before"),
    ("the test passes after", "passes_after"),
    ("pieces of the fix that are needed", "hunks_necessary"),
    ("mutants of the fix that died", "mutants"),
)


def step(name: str, said: str) -> str:
    """One step in one line."""
    return f"  {name:<10} {said}"


def ending(told: Told, data: Path, address: str, *, kept: bool) -> str:
    """The incident, its cause, the test, the fix with its verdict, the draft, and where to go on."""
    incident = told.incident
    parts = [_headed(f"{incident['id']}  {incident['title']}", _seen(incident)), *_found(told)]
    parts += [_headed("Go on", _go_on(incident, data, address, kept=kept))]
    parts += [f"{_result(told)} It took {told.seconds:.0f} seconds."]
    return "\n\n".join(parts)


def _found(told: Told) -> Iterator[str]:
    incident = told.incident
    cause = next((change for change in incident["changes"] if change["verdict"] == "proven"), None)
    if cause is not None:
        yield _headed("The cause, proven by execution", _change(cause))
    if told.no_sandbox:
        ranked = "\n".join(f"{c['repo']} {c['commit'][:10]}  {c['title']}\n    {'; '.join(c['reasons'][:2])}"
                           for c in told.ranked[:8])  # fmt: skip
        why = f"Nothing was run, for no sandbox holds here: {told.no_sandbox}"
        yield _headed("Changes that may be the cause, likeliest first", f"{ranked}\n\n{why}")
    test = incident["reproducer"]
    if test is not None:
        oracle = (
            f"It knows what is right by {_ORACLES.get(test['oracle'], test['oracle'])} ({test['oracle']})."
        )
        failed = f"It failed {test['failures']} of {test['runs']} times on the running release."
        yield _headed(
            f"The test, {test['repo']}/{test['test_path']}",
            f"{oracle}\n{failed}\n\n{indent(test['source'].strip(), '    ')}",
        )
    if incident["patch"] is not None:
        yield _headed("The fix", incident["patch"]["rationale"] + "\n\n" + "\n".join(
            diff.strip() for diff in incident["patch"]["diffs"].values()))  # fmt: skip
    if incident["validation"] is not None:
        yield _headed("The verdict on the fix", _verdict(incident["validation"]))
    if incident["drafts"]:
        by = (
            "The policy asked for a person; the demo said yes for you."
            if told.approved
            else "The policy let it open by itself."
        )
        lines = [f"branch {d['branch']} in {d['url'] or d['repo']}" for d in incident["drafts"]]
        yield _headed("The draft", "\n".join([*lines, f"{by} Nothing is merged."]))


def _seen(incident: dict[str, Any]) -> str:
    where = incident["location"]
    place = f" in {where['repo']}, {where['path']}:{where['line']}" if where else ""
    return f"seen {incident['event_count']} times by {incident['user_count']} people{place}"


def _change(change: dict[str, Any]) -> str:
    when = (change["merged_at"] or "")[:10]
    head = f"{change['repo']} {change['commit'][:10]} of {when} by {change['author']}: {change['title']}"
    said = change.get("said") or ""
    return "\n".join(part for part in (head, said, "", (change["hunks"] or "").strip()) if part is not None)


def _verdict(validation: dict[str, Any]) -> str:
    rows = [
        (what, "{} of {}".format(*validation[name]))
        for what, name in _CHECKS
        if validation.get(name, (0, 0))[1]
    ]
    rows += [
        (f"suite of {repo}", f"{after.get('passed', 0)} passed, {after.get('failed', 0)} failed")
        for repo, after in validation["suite_after"].items()
    ]
    rows += [("verdict", validation["verdict"])]
    return "\n".join(f"{what:<36}{value}" for what, value in rows)


def _go_on(incident: dict[str, Any], data: Path, address: str, *, kept: bool) -> str:
    folder = shlex.quote(str(data))
    if not kept:
        return (
            "This demo's folder is gone now. To keep one and look around in it:\n"
            "  nightdesk demo --keep\n"
            f"Your own: nightdesk serve, then {address}/\n"
            "Assistants: claude mcp add nightdesk -- nightdesk mcp"
        )
    return (
        f"nightdesk serve --data {folder}\n"
        f"  then the page: {address}/incidents/{incident['id']}\n"
        f"claude mcp add nightdesk -- nightdesk mcp --data {folder}"
    )


def _result(told: Told) -> str:
    if told.proven:
        return "Proven, and drafted."
    return "Not proven" + (
        ": without a sandbox nothing is run." if told.no_sandbox else f": {told.incident['said']}."
    )


def _headed(title: str, text: str) -> str:
    return f"{title}\n{'─' * min(len(title), _WIDTH)}\n{text.rstrip()}"
