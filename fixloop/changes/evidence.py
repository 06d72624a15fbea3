"""What the history of one repository says of each change: who wrote the lines, who touched the functions, what they
took away or newly read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fixloop import Change, History, Hunk, Repository, Touch
from fixloop.changes.beside import as_failing, callers_of, decorated, files_named, in_tables, names_of
from fixloop.changes.clues import Clues, words
from fixloop.changes.kinds import MASS, is_lock, is_tidying, runs
from fixloop.changes.pins import Bump, bumps, canonical
from fixloop.changes.regions import Called, Region, Use, called_by, callees_of, looked_up, regions_of, uses_of
from fixloop.changes.survival import LONG, Edits, surviving

NAMED = 150  # further changes, the newest, in which a missing name is looked for
NEWEST = 40  # further changes that are looked at whatever they touch
READ = 350  # changes whose hunks are read, those with evidence first, then the newest
PINS = 200  # changes of lock files that are read, the newest
NEAR = 3  # lines around the failing one
BLAMED_CALLEES = 8  # regions of callees that are blamed
RELATED = 6  # files that changed together with a test of the trace
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{3,}")
_MEANS = re.compile(r"[A-Za-z_]\w*|[<>=!]=|[-+*/%|&<>=]|\d+")
_DECIDES = re.compile(
    r"\b(?:if|elif|else|for|while|return|raise|throw|try|except|catch|not|and|or|in|is|None|null|nil|await|with|break|"
    r"continue|yield|lambda)\b|==|!=|&&|\|\||<=|>="
)
_COMMENT = re.compile(r"\s*(?:#|//|\*|/\*|\"\"\"|'{3})")


@dataclass
class Touched:
    """What one change did to one region."""

    hunks: list[Hunk] = field(default_factory=list)
    defines: bool = False  # it wrote the first line of the definition
    redefines: bool = False  # and there was one before

    @property
    def added(self) -> int:
        return sum(len(hunk.added) for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(len(hunk.removed) for hunk in self.hunks)

    @cached_property
    def novel(self) -> int:
        """Words that the change brought in or took out, beyond what it moved or renamed: what is new in meaning."""
        came = Counter(_meaning(line for hunk in self.hunks for line in hunk.added))
        went = Counter(_meaning(line for hunk in self.hunks for line in hunk.removed))
        return (came - went).total() + (went - came).total()

    @cached_property
    def logic(self) -> int:
        """Decisions that the change brought in or took out."""
        lines = (line for hunk in self.hunks for line in (*hunk.added, *hunk.removed))
        return sum(len(_DECIDES.findall(line)) for line in lines)


@dataclass
class Suspect:
    """One change with everything that was found of it."""

    change: Change
    files: tuple[str, ...] = ()
    lines: dict[int, int] = field(
        default_factory=dict
    )  # region -> failing lines (or near ones) it last wrote
    near: dict[int, int] = field(default_factory=dict)
    body: dict[int, int] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)  # region -> words in it that it wrote
    touched: dict[int, Touched] = field(default_factory=dict)
    in_files: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    hunks: list[Hunk] = field(default_factory=list)
    reverted_by: str | None = None
    bumps: tuple[Bump, ...] = ()  # packages of the trace that it pins at another version

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Every identifier in the lines that it changed."""
        texts = (line for hunk in self.hunks for line in (*hunk.added, *hunk.removed, hunk.symbol))
        return frozenset(word for text in texts for word in _IDENTIFIER.findall(text))


@dataclass
class Scene:
    """One repository at the release, with its regions and suspects."""

    repo: str
    release: str
    newest: int  # when the release was committed
    regions: list[Region]
    files: dict[str, float]  # files of interest -> how much
    tests: set[str]
    suspects: dict[str, Suspect]
    considered: int  # changes in the window
    first_names: dict[str, str] = field(default_factory=dict)  # older path -> path at the release
    asked: frozenset[str] = frozenset()  # identifiers in the bodies of the tests of the trace
    words: dict[int, int] = field(default_factory=dict)  # region of the clues -> words in it


def look(clues: Clues, places: Sequence[tuple[Repository, str]], since: int | None = None) -> list[Scene]:
    """Gather the evidence in every repository at its running commit: what one calls may be defined in another.

    `since` narrows to what was committed after it (seconds since 1970)."""
    searches = [_Search(clues, repository, release, since) for repository, release in places]
    called: dict[str, Called] = {}
    for search in searches:
        called |= search.called()
    return [search.run(called) for search in searches]


class _Search:
    def __init__(self, clues: Clues, repository: Repository, release: str, since: int | None) -> None:
        self._clues, self._repository, self._release, self._since = clues, repository, release, since
        self._history: History = repository.history
        self._texts: dict[str, str | None] = {}
        self._reached = self._history.reachable(release, since)
        self._reachable = set(self._reached)
        self._suspects: dict[str, Suspect] = {}
        self._older: dict[str, str] = {}
        self._owners: dict[int, Mapping[int, str]] = {}  # region -> line -> who wrote it
        self._own = regions_of(clues.spots, repository.name, self._read)
        self._tests = regions_of(clues.in_tests, repository.name, self._read)

    def called(self) -> dict[str, Called]:
        """The names that the clues' regions in this repository call; those of its tests, where only they are known."""
        return called_by(self._own or ([] if self._clues.spots else self._tests), self._read)

    def run(self, called: Mapping[str, Called]) -> Scene:
        """The evidence of this repository, where `called` are names that any of them calls."""
        regions = list(self._own)
        tests = {path for repo, path in self._clues.tests if repo == self._repository.name}
        nearest_last = sorted(regions, key=lambda one: -one.depth)
        files = {one.path: 1 / (1 + one.depth / 2) for one in nearest_last} or self._related(tests)
        regions += self._beside(called)
        if regions and not self._own:
            # In a library the function that is called from outside stands where the failing one would.
            regions = as_failing(regions) + self._behind(regions)
            files |= {one.path: 1 / (1 + one.depth) for one in reversed(regions)}
        self._touchers([*files, *tests, *(region.path for region in regions)], {*files, *tests})
        self._blame(regions)
        self._open(regions)
        self._others()
        self._bumps()
        newest = self._history.changes([self._release])[self._release].committed
        self._settle_reverts()
        return Scene(
            self._repository.name, self._release, newest, regions, files, tests, self._suspects,
            len(self._reachable), self._older, words(self._bodies(self._tests)), self._words(regions),
        )  # fmt: skip

    def _words(self, regions: Sequence[Region]) -> dict[int, int]:
        """Count for each suspect the words that it wrote; gives how many there are, region by region."""
        newest_first = sorted(self._suspects, key=lambda sha: (-self._suspects[sha].change.committed, sha))
        found: dict[int, int] = {}
        for number, region in enumerate(regions):
            if not region.own or region.end - region.start > LONG or number not in self._owners:
                continue
            texts = (self._read(region.path) or "").splitlines()
            lines = {at: texts[at - 1] for at in range(region.start, min(region.end, len(texts)) + 1)}
            hunks = {sha: self._in_file(sha, region.path) for sha in newest_first}
            edits = Edits(hunks, [sha for sha in newest_first if hunks[sha]])
            wrote, found[number] = surviving(lines, self._owners[number], edits)
            for sha, count in wrote.items():
                if sha in self._suspects:
                    self._suspects[sha].words[number] = count
        return found

    def _in_file(self, sha: str, path: str) -> list[Hunk]:
        return [hunk for hunk in self._suspects[sha].hunks if self._older.get(hunk.path, hunk.path) == path]

    def _bodies(self, regions: Sequence[Region]) -> Iterator[str]:
        for region in regions:
            if region.kind == "body":
                yield from (self._read(region.path) or "").splitlines()[region.start - 1 : region.end]

    def _beside(self, called: Mapping[str, Called]) -> list[Region]:
        """What the clues' functions call, directly or through tables; who calls them; which files they name."""
        names = names_of(self._own)
        uses = self._uses([*looked_up(called), *names])
        regions = callees_of(called, self._own, uses, self._read)
        listed = in_tables(regions, uses, self._read)
        if listed:
            more = self._uses(list(listed))
            regions += callees_of(listed, [*self._own, *regions], more, self._read)
            regions += decorated(listed, more, self._read)
        regions += callers_of(names, uses, self._read)
        return regions + files_named(self._own, self._repository.paths(self._release), self._read)

    def _behind(self, regions: Sequence[Region]) -> list[Region]:
        """In a repository that the trace only calls into: what those definitions call in their turn."""
        inner = {
            name: Called(one.depth + 1, on_line=False) for name, one in called_by(regions, self._read).items()
        }
        return callees_of(inner, regions, self._uses(looked_up(inner)), self._read)

    def _uses(self, names: Sequence[str]) -> list[Use]:
        return uses_of(names, self._repository, self._release)

    def _read(self, path: str) -> str | None:
        if path not in self._texts:
            self._texts[path] = self._repository.text(self._release, path)
        return self._texts[path]

    def _related(self, tests: set[str]) -> dict[str, float]:
        """Files that changed together with the tests of the trace: where there is no frame in other code."""
        shas = [touch.sha for touches in self._history.touches(tests).values() for touch in touches]
        inside = set(self._history.reachable(self._release)) if self._since else self._reachable
        together = Counter(
            path
            for files in self._history.files(sha for sha in shas if sha in inside).values()
            if len(files) <= MASS
            for path in files
            if runs(path)
        )
        best = together.most_common(RELATED)
        return {path: count / best[0][1] for path, count in best}

    def _touchers(self, paths: Sequence[str], interesting: set[str]) -> None:
        """Every change to the files, under their older names too."""
        pending, seen = dict.fromkeys(paths), set(paths)
        while pending:
            touches = self._history.touches(pending)
            pending = {}
            for path, found in touches.items():
                now = self._older.get(path, path)
                for touch in found:
                    if touch.sha in self._reachable:
                        self._note(touch, now, now in interesting)
                    if touch.kind == "R" and touch.before and touch.before not in seen:
                        seen.add(touch.before)
                        self._older[touch.before] = now
                        pending[touch.before] = None
        changes = self._history.changes(self._suspects)
        for sha in list(self._suspects):
            self._suspects[sha].change = changes[sha]

    def _note(self, touch: Touch, path: str, interesting: bool) -> None:
        suspect = self._suspects.setdefault(touch.sha, Suspect(_unknown(touch.sha)))
        if interesting:
            suspect.in_files.add(path)
        if touch.kind == "R":
            suspect.moved.add(path)

    # --- blame ---------------------------------------------------------------------------------------------------

    def _blame(self, regions: Sequence[Region]) -> None:
        passed_over = self._tidyings()
        callees = sorted((one for one in regions if one.kind == "callee"), key=lambda one: not one.on_line)
        chosen = {id(one) for one in (*(r for r in regions if r.own), *callees[:BLAMED_CALLEES])}
        by_path: dict[str, list[int]] = {}
        for number, region in enumerate(regions):
            if id(region) in chosen:
                by_path.setdefault(region.path, []).append(number)
        for path, numbers in by_path.items():
            ranges = [(regions[n].start, regions[n].end) for n in numbers]
            blamed = self._history.blame(
                self._release, path, ranges, since=self._since, passed_over=passed_over.get(path, ())
            )
            owners = {line.line: line.commit for line in blamed if line.text.strip()}
            for number in numbers:
                self._owners[number] = owners
                self._count(regions[number], number, owners)
        self._complete()

    def _tidyings(self) -> dict[str, list[str]]:
        """For each file, the reformattings that blame looks behind: by the team's own list, and by their shape."""
        listed = set(re.findall(r"^[0-9a-f]{40}\b", self._read(".git-blame-ignore-revs") or "", re.MULTILINE))
        found: dict[str, list[str]] = {}
        files = self._history.files(self._suspects)
        for sha, suspect in self._suspects.items():
            suspect.files = tuple(files.get(sha, ()))
            if sha in listed or is_tidying(suspect.change.subject, suspect.files):
                for path in suspect.files:
                    found.setdefault(self._older.get(path, path), []).append(sha)
        return found

    def _count(self, region: Region, number: int, owners: Mapping[int, str]) -> None:
        for line in range(region.start, region.end + 1):
            sha = owners.get(line)
            if sha is None or sha not in self._reachable:
                continue
            suspect = self._suspects.setdefault(sha, Suspect(_unknown(sha)))
            suspect.body[number] = suspect.body.get(number, 0) + 1
            if region.line is not None and abs(line - region.line) <= NEAR:
                suspect.near[number] = suspect.near.get(number, 0) + 1
            if line == region.line:
                suspect.lines[number] = 1

    def _complete(self) -> None:
        """Changes that only blame has found: a merge that resolved a conflict, a move from another file."""
        new = [sha for sha, suspect in self._suspects.items() if not suspect.change.author]
        changes, files = self._history.changes(new), self._history.files(new)
        for sha in new:
            if sha in changes:
                self._suspects[sha].change = changes[sha]
                self._suspects[sha].files = tuple(files.get(sha, ()))
            else:
                del self._suspects[sha]

    # --- hunks ---------------------------------------------------------------------------------------------------

    def _open(self, regions: Sequence[Region]) -> None:
        paths = {region.path for region in regions}
        chosen = sorted(
            self._suspects.values(), key=lambda one: (not one.body, not one.in_files, -one.change.committed)
        )[:READ]
        small = [one.change.sha for one in chosen if len(one.files) <= MASS]
        large = [one.change.sha for one in chosen if len(one.files) > MASS]
        names = [*paths, *(old for old, now in self._older.items() if now in paths)]
        read = {**self._history.hunks(small), **(self._history.hunks(large, names) if names else {})}
        by_name: dict[tuple[str, str], list[int]] = {}
        for number, region in enumerate(regions):
            by_name.setdefault((region.path, region.name), []).append(number)
        for sha, hunks in read.items():
            suspect = self._suspects[sha]
            suspect.hunks = [hunk for hunk in hunks if runs(hunk.path)]
            for hunk in suspect.hunks:
                path = self._older.get(hunk.path, hunk.path)
                if path in paths:
                    _touch(suspect, hunk, path, regions, by_name)

    def _others(self) -> None:
        """Changes of what nothing leads to: the newest, and of some more those that take away, rename or begin to read
        the very name that is missing."""
        room = NAMED if self._clues.names else NEWEST
        others = [sha for sha in self._reached if sha not in self._suspects][: 2 * room]
        files = self._history.files(others)
        chosen = [
            sha
            for sha in others
            if len(files.get(sha, ())) <= MASS
            and any(runs(path) and not is_lock(path) for path in files.get(sha, ()))
        ][:room]
        changes = self._history.changes(chosen)
        read = self._history.hunks(chosen)
        for place, sha in enumerate(chosen):
            running = [hunk for hunk in read[sha] if runs(hunk.path)]
            added, removed = names_changed(running, self._clues.names)
            if place < NEWEST or added != removed:
                self._suspects[sha] = Suspect(changes[sha], tuple(files[sha]), hunks=running)

    def _bumps(self) -> None:
        """Changes of pinned versions, where a package that was on the stack is among them."""
        packages = {canonical(name) for name in self._clues.packages}
        locks = [path for path in self._repository.paths(self._release) if is_lock(path)] if packages else []
        touched = {touch.sha for found in self._history.touches(locks).values() for touch in found}
        chosen = [sha for sha in self._reached if sha in touched][:PINS]
        changes, files = self._history.changes(chosen), self._history.files(chosen)
        for sha, hunks in (self._history.hunks(chosen, locks) if chosen else {}).items():
            named = self._pinned(sha, hunks, packages)
            if named:
                suspect = self._suspects.setdefault(sha, Suspect(changes[sha], tuple(files.get(sha, ()))))
                suspect.bumps = named
                suspect.hunks = suspect.hunks or hunks

    def _pinned(self, sha: str, hunks: Sequence[Hunk], packages: Collection[str]) -> tuple[Bump, ...]:
        found: dict[str, Bump] = {}
        for path in sorted({hunk.path for hunk in hunks}):
            text = self._repository.text(sha, path) or ""
            for bump in bumps([hunk for hunk in hunks if hunk.path == path], text):
                if bump.package in packages:
                    found.setdefault(bump.package, bump)
        return tuple(found.values())

    def _settle_reverts(self) -> None:
        """Which suspects were taken back by a later change that the release contains as well."""
        later: dict[str, str] = {}
        for suspect in self._suspects.values():
            for sha in suspect.change.reverts:
                later[sha] = suspect.change.sha
        for sha, suspect in self._suspects.items():
            by = next((by for old, by in later.items() if sha.startswith(old)), None)
            suspect.reverted_by = by


def _touch(
    suspect: Suspect,
    hunk: Hunk,
    path: str,
    regions: Sequence[Region],
    by_name: Mapping[tuple[str, str], Sequence[int]],
) -> None:
    """A hunk belongs to the definition that git names around it, and to those whose first line it writes."""
    around = _defined(hunk.symbol)
    added = {name for line in hunk.added if (name := _defined(line))}
    removed = {name for line in hunk.removed if (name := _defined(line))}
    for name in {around, *added, *removed} - {""}:
        for number in by_name.get((path, name), ()):
            mark = suspect.touched.setdefault(number, Touched())
            mark.hunks.append(hunk)
            mark.defines |= name in added
            mark.redefines |= name in added and name in removed
    for number in by_name.get((path, ""), ()):
        suspect.touched.setdefault(number, Touched()).hunks.append(hunk)


_DEFINED = re.compile(
    r"^\s*(?:(?:export|default|public|private|protected|static|async|pub|cdef|cpdef|declare|abstract)\s+)*"
    r"(?:def|func|function|fn|fun|sub|class|type|struct|interface|const)\s*(?:\([^)]*\)\s*)?([\w$]+)"
)
_DEFINED_C = re.compile(r"^(?:[A-Za-z_][\w \t*&<>:,~]*[ \t*&])?([A-Za-z_]\w*)\s*\([^;]*$")


def _defined(line: str) -> str:
    """The name that a line defines, or nothing."""
    found = _DEFINED.match(line) or _DEFINED_C.match(line)
    return found[1] if found else ""


def _meaning(lines: Iterable[str]) -> Iterator[str]:
    """The words and signs of lines that are no comments."""
    for line in lines:
        if not _COMMENT.match(line):
            yield from _MEANS.findall(line)


def _unknown(sha: str) -> Change:
    return Change(sha, (), "", 0, 0, "")


def identifiers_of(suspects: Iterable[Suspect]) -> Counter[str]:
    """How many of the suspects' changes speak of each identifier."""
    return Counter(word for suspect in suspects for word in suspect.identifiers)


def names_changed(hunks: Iterable[Hunk], names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Which of the names stand in lines that hunks added, and which in lines that they took away."""
    lines = [(hunk.added, hunk.removed) for hunk in hunks] if names else []
    added = {name for name in names if any(_has(line, name) for new, _ in lines for line in new)}
    removed = {name for name in names if any(_has(line, name) for _, old in lines for line in old)}
    return added, removed


def _has(line: str, name: str) -> bool:
    at = line.find(name)
    while at >= 0:
        before, after = line[at - 1 : at], line[at + len(name) : at + len(name) + 1]
        if not (before.isalnum() or before == "_" or after.isalnum() or after == "_"):
            return True
        at = line.find(name, at + 1)
    return False
