"""A patch on the release: its blocks, the texts before and after, the world in which it is applied. Tests are
set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

from fixloop.bench import Bench
from fixloop.blocks import Block, by_file, compose, parse, unified
from fixloop.judging import constraints
from fixloop.judging.constraints import Refusal
from fixloop.judging.covered import same_code
from fixloop.oracle import Reading
from fixloop.reproduce.syntax import parse as parse_python
from fixloop.running.worlds import World
from store.errors import BadPayload
from store.repair import Patch, Run

Texts: TypeAlias = dict[str, str | None]


@dataclass
class Case:
    """One patch under judgement: its blocks by repository, its worlds, what was found, its runs."""

    patch: Patch
    blocks: dict[str, list[Block]]
    old: dict[str, Texts]
    new: dict[str, Texts]
    world: World
    findings: dict[str, Any] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    lines: dict[str, set[int]] = field(default_factory=dict)  # executed lines, by path inside
    answers: list[Reading] = field(default_factory=list)  # to the neighbours
    silent: list[str] = field(default_factory=list)  # statements of the patch that never ran
    held: dict[str, str] = field(
        default_factory=dict
    )  # repositories whose whole suite held, with what was said of it
    unfinished: str = ""  # why its whole suite was not run to the end
    clock: float = field(default_factory=perf_counter)

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = perf_counter()
        took, self.clock = now - self.clock, now
        return round(took, 3)


def prepare(bench: Bench, base: World, patch: Patch) -> Case | Refusal:
    """Blocks and texts of the patch without its tests, and the world in which it is applied."""
    blocks: dict[str, list[Block]] = {}
    old: dict[str, Texts] = {}
    new: dict[str, Texts] = {}
    world = base
    aside: list[str] = []
    for repo, diff in patch.diffs.items():
        if repo not in bench.layout.commits:
            return Refusal("unknown_repository", f"there is no repository {repo!r} in this project")
        applied = _apply(bench, base, repo, diff)
        if isinstance(applied, Refusal):
            return applied
        blocks[repo], old[repo], new[repo], tests = applied
        aside += tests
        if blocks[repo]:
            tree = bench.trees.patched(repo, base.trees[repo], unified(old[repo], new[repo]))
            if tree is None:
                return Refusal("does_not_apply", f"the patch does not apply to {repo}")
            world = world.with_tree(repo, tree)
    if not any(blocks.values()):
        said = "without its tests the patch changes nothing: tests in a patch are set aside"
        return Refusal("no_code_change", said)
    return Case(patch, blocks, old, new, world, {"aside": aside})


def _apply(
    bench: Bench, base: World, repo: str, diff: str
) -> tuple[list[Block], Texts, Texts, list[str]] | Refusal:
    refusal = constraints.whole(diff)
    if refusal is not None:
        return refusal
    try:
        wanted = parse(diff)
    except BadPayload as problem:
        return Refusal("does_not_apply", str(problem))
    refusal = constraints.structure(diff, wanted, bench.protected)
    if refusal is not None:
        return refusal
    if not wanted:
        return Refusal("no_code_change", "the patch is empty")
    mirror, commit = bench.repositories.get(repo), bench.layout.repo(repo).commit
    code, tests = constraints.split_tests(wanted)
    old: Texts = {path: mirror.text(commit, path) for path in by_file(code)}
    for path, text in old.items():
        refusal = constraints.generated(path, text)
        if refusal is not None:
            return refusal
    new: Texts = {}
    try:
        new = {path: compose(old[path], mine) for path, mine in by_file(code).items()}
    except ValueError:  # line numbers a little off: git places the hunks, the blocks are read off the result
        placed = _placed(bench, base, repo, unified_only(diff, set(old)), old)
        if placed is None:
            return Refusal("does_not_apply", f"the patch does not apply to {repo} at {commit[:9]}")
        new = placed
    for path, text in new.items():
        if text is not None and path.endswith(".py") and parse_python(text) is None:
            return Refusal("syntax", f"{path} is not Python any more")
    exact = parse(unified(old, new, context=0)) if new else []
    return exact, old, new, sorted({block.path for block in tests})


def _placed(bench: Bench, base: World, repo: str, diff: str, old: Mapping[str, str | None]) -> Texts | None:
    tree = bench.trees.patched(repo, base.trees[repo], diff)
    if tree is None:
        return None
    texts: Texts = {}
    for path in old:
        place = tree / path
        texts[path] = place.read_text("utf-8", "surrogateescape") if place.is_file() else None
    return texts


def unified_only(diff: str, paths: set[str]) -> str:
    """The parts of a diff that touch these paths."""
    kept, keep = [], False
    for line in diff.splitlines(keepends=True):
        if line.startswith("diff --git ") or (line.startswith("--- ") and not keep):
            ends = (f"/{path}{end}" for path in paths for end in ("\n", " ", "\t"))
            keep = any(end in line + "\n" for end in ends)
        if keep:
            kept.append(line)
    return "".join(kept)


def left_out(bench: Bench, base: World, case: Case, repo: str, block: Block) -> World | None:
    """The patched world without one block; None where the block changes no code."""
    rest = [other for other in case.blocks[repo] if other.path == block.path and other is not block]
    text = compose(case.old[repo][block.path], rest) if rest else case.old[repo][block.path]
    if same_code(block.path, text, case.new[repo][block.path]):
        return None
    diff = unified(case.old[repo], {**case.new[repo], block.path: text})
    tree = bench.trees.patched(repo, base.trees[repo], diff) if diff else base.trees[repo]
    return case.world.with_tree(repo, tree) if tree else None
