"""Another version of one package, laid out to be judged: the release with two environments that differ in it alone.

Dependency files are forbidden to every patch. The one exception is looked at here: the diff moves this package and
nothing else, and what is run with it is an environment that was made before, by us, and is only read.
"""

from __future__ import annotations

from dataclasses import replace

from fixloop.bench import Bench
from fixloop.blocks import by_file, compose, parse, unified
from fixloop.changes.repin import only_moved
from fixloop.judging import constraints
from fixloop.judging.applied import Case, Texts
from fixloop.judging.constraints import Refusal
from fixloop.running.packages import OtherPackages
from fixloop.running.worlds import World
from store.errors import BadPayload, Unavailable
from store.repair import Patch, Upgrade


def prepare(bench: Bench, base: World, patch: Patch, upgrade: Upgrade) -> Case | Refusal:
    """The release with the package in the other version, or why that is not there to be judged."""
    old: dict[str, Texts] = {}
    new: dict[str, Texts] = {}
    world = base
    for repo, diff in patch.diffs.items():
        if repo not in bench.layout.commits:
            return Refusal("unknown_repository", f"there is no repository {repo!r} in this project")
        texts = _texts(bench, repo, diff)
        if isinstance(texts, Refusal):
            return texts
        old[repo], new[repo] = texts
        for path, text in old[repo].items():
            after = new[repo][path]
            if text is None or after is None or not _moves(upgrade, path, text, after):
                said = f"{path} changes in more than the version of {upgrade.package}"
                return Refusal("protected_path", said)
        tree = bench.trees.patched(repo, base.trees[repo], unified(old[repo], new[repo]))
        if tree is None:
            return Refusal("does_not_apply", f"the patch does not apply to {repo}")
        world = world.with_tree(repo, tree)
    if bench.packages is None or not patch.diffs:
        return Refusal("environment", "no second environment can be made here")
    try:
        world = replace(world, environment=bench.packages.with_upgrade(upgrade))
    except OtherPackages as needs:
        return Refusal("other_packages", f"{_named(upgrade)} needs other packages changed as well: {needs}")
    except Unavailable as problem:
        return Refusal("environment", f"{_named(upgrade)} cannot be had: {problem}")
    findings = {
        "environments": {"differ_in": [_named(upgrade)], "packages": len(upgrade.installed)},
        "hunks_necessary": (1, 1),  # without it is the release, which is run as well
    }
    return Case(patch, {repo: [] for repo in bench.layout.commits}, old, new, world, findings)


def _texts(bench: Bench, repo: str, diff: str) -> tuple[Texts, Texts] | Refusal:
    """The files of a diff, before and after."""
    refusal = constraints.whole(diff)
    if refusal is not None:
        return refusal
    mirror, commit = bench.repositories.get(repo), bench.layout.repo(repo).commit
    try:
        files = by_file(parse(diff))
        old: Texts = {path: mirror.text(commit, path) for path in files}
        return old, {path: compose(old[path], blocks) for path, blocks in files.items()}
    except (BadPayload, ValueError):
        return Refusal("does_not_apply", f"the patch does not apply to {repo} at {commit[:9]}")


def _moves(upgrade: Upgrade, path: str, before: str, after: str) -> bool:
    return only_moved(path, before, after, upgrade.package, upgrade.old, upgrade.new)


def _named(upgrade: Upgrade) -> str:
    return f"{upgrade.package} {upgrade.new} in place of {upgrade.old}"
