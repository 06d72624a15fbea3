"""Edits as a model gives them: exact and unique, all of them or none. What spoils a file's syntax is undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from fixloop.bench import Bench
from fixloop.blocks import unified
from fixloop.reproduce.syntax import parse
from fixloop.tools.code import checked
from store.repair import Patch

MOST = 20  # edits of one patch


class Edit(BaseModel):
    """`old` stands exactly once in the file and becomes `new`; an empty `old` makes a file that is not there yet."""

    repo: str
    path: str
    old: str
    new: str


def patch_of(edits: Sequence[Edit], bench: Bench, fixer: str, rationale: str) -> Patch | str:
    """The edits as one patch on the release, or the sentence that says why not one of them is applied. Raises Refused
    for a path that is none."""
    if not edits:
        return "There are no edits."
    if len(edits) > MOST:
        return f"There are {len(edits)} edits; at most {MOST} are applied."
    old: dict[str, dict[str, str | None]] = {}
    new: dict[str, dict[str, str | None]] = {}
    for number, edit in enumerate(edits, 1):
        commit = bench.layout.commits.get(edit.repo)
        if commit is None:
            return f"Edit {number}: there is no repository {edit.repo[:60]!r}."
        checked(edit.path)
        before = bench.repositories.get(edit.repo).text(commit, edit.path)
        old.setdefault(edit.repo, {}).setdefault(edit.path, before)
        now = new.setdefault(edit.repo, {}).get(edit.path, before)
        after = _edited(now, edit)
        if after is None:
            times = now.count(edit.old) if now and edit.old else 0
            return f"Edit {number}: `old` stands {times} times in {edit.path[:120]}, and not exactly once."
        new[edit.repo][edit.path] = after
    spoiled = _spoiled(old, new)
    if spoiled is not None:
        return f"{spoiled} is not Python any more: all edits are undone."
    return Patch(
        diffs={repo: unified(old[repo], new[repo]) for repo in new},
        base_commits={repo: bench.layout.repo(repo).commit for repo in new},
        files=tuple(path for repo in new for path in new[repo]),
        fixer=fixer, kind="model", rationale=rationale,
    )  # fmt: skip


def _edited(now: str | None, edit: Edit) -> str | None:
    if now is None:
        return edit.new if not edit.old else None
    if not edit.old or now.count(edit.old) != 1:
        return None
    return now.replace(edit.old, edit.new)


def _spoiled(
    old: Mapping[str, Mapping[str, str | None]], new: Mapping[str, Mapping[str, str | None]]
) -> str | None:
    """The first file that could be read before and cannot be now."""
    for repo, texts in new.items():
        for path, text in texts.items():
            before = old[repo].get(path)
            readable = before is None or parse(before) is not None
            if path.endswith(".py") and text is not None and readable and parse(text) is None:
                return path
    return None
