"""The index of one history: commits, the files they touched, the pull requests they came with; hunks and blame in bulk.

It lies beside the mirror, is brought up to date with what is new, and can be thrown away: everything in it is git's.
Commits are kept by hash, so a branch that was rewritten leaves rows that nothing reaches, and no false ones.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from store.borrowed import borrow, write_graph
from store.commits import BlameLine, Change, Hunk, Touch
from store.diffs import RECORD, changes, hunks
from store.errors import NotFound, Unavailable
from store.git import FETCHING, git, unquote

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tips (sha TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    id INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE, parents TEXT NOT NULL, author TEXT NOT NULL,
    authored INTEGER NOT NULL, committed INTEGER NOT NULL, subject TEXT NOT NULL, pull TEXT, reverts TEXT, picked TEXT);
CREATE TABLE IF NOT EXISTS paths (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS touches (
    path INTEGER NOT NULL, change INTEGER NOT NULL, kind TEXT NOT NULL, before INTEGER,
    PRIMARY KEY (path, change)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS touches_by_change ON touches (change, path);
"""
_VERSION = 1
_WAIT = 60.0  # seconds that one process waits while another brings the index up to date
MISSING = 0.1  # share of changes whose content may be missing: some stored histories lack a few large files


class History:
    """One repository's history. `folder` is a git folder, which is only read; `place` the index's own folder."""

    def __init__(self, name: str, folder: Path, place: Path) -> None:
        self.name, self._folder, self._place = name, folder, place
        self._git: Path | None = None
        self._current: set[str] = set()

    @property
    def git_folder(self) -> Path:
        """The folder that git reads in. Raises Unavailable for a shallow clone."""
        if self._git is None:
            self._git = borrow(self._folder, self._place / f"{quote(self.name, safe='')}.git")
        return self._git

    # --- the index -----------------------------------------------------------------------------------------------

    def update(self, release: str) -> None:
        """Take in what `release` reaches and the index lacks. Raises NotFound for a commit that is not there,
        Unavailable where history is missing."""
        if release in self._current:
            return
        with closing(self._database()) as database:
            if not database.execute("SELECT 1 FROM changes WHERE sha = ?", (release,)).fetchone():
                self._take_in(database, release)
        self._current.add(release)

    def _database(self) -> sqlite3.Connection:
        self._place.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(
            self._place / f"history-{_VERSION}.sqlite", timeout=_WAIT, isolation_level=None
        )
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")  # whatever is lost can be read again
        database.executescript(_SCHEMA)
        return database

    def _take_in(self, database: sqlite3.Connection, release: str) -> None:
        """All in one transaction: another process sees all of it or nothing, and a row means its ancestors too."""
        database.execute("BEGIN IMMEDIATE")
        try:
            known = self._standing([sha for (sha,) in database.execute("SELECT sha FROM tips")])
            ends = "\n".join([release, *(f"^{sha}" for sha in known)]) + "\n"
            try:
                printed = self._log("--find-renames", ends)
            except (
                NotFound,
                Unavailable,
            ):  # a file's content is missing somewhere: moves without any edit need none
                printed = self._log("--find-renames=100%", ends)
            self._insert(database, printed)
            database.execute("INSERT OR IGNORE INTO tips VALUES (?)", (release,))
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        write_graph(self.git_folder, release)

    def _log(self, renames: str, ends: str) -> bytes:
        wanted = ("log", "-z", "--raw", renames, "--no-abbrev", "--no-show-signature", "--root")
        return git(
            self.git_folder, *wanted, f"--format={RECORD}", "--stdin", stdin=ends.encode(), seconds=FETCHING
        )

    def _standing(self, shas: Sequence[str]) -> list[str]:
        """Those that the repository still has: after a forced push, old ones may have been swept away."""
        if not shas:
            return []
        told = git(self.git_folder, "cat-file", "--batch-check", stdin="\n".join(shas).encode() + b"\n")
        return [line.split(b" ")[0].decode() for line in told.splitlines() if b" commit " in line]

    def _insert(self, database: sqlite3.Connection, printed: bytes) -> None:
        paths: dict[bytes, int] = dict(database.execute("SELECT path, id FROM paths"))
        first = len(paths)
        number = database.execute("SELECT COALESCE(MAX(id), 0) FROM changes").fetchone()[0]
        known = {sha for (sha,) in database.execute("SELECT sha FROM changes")}
        rows, touched = [], []

        def path_number(path: str) -> int:
            return paths.setdefault(os.fsencode(path), len(paths) + 1)

        for change, touches in changes(printed):
            if change.sha in known:  # after a forced push more is read than is new
                continue
            number += 1
            rows.append((number, change.sha, " ".join(change.parents), change.author, change.authored,
                         change.committed, change.subject, change.pull_request, " ".join(change.reverts) or None,
                         " ".join(change.picked_from) or None))  # fmt: skip
            for path, touch in touches:
                before = None if touch.before is None else path_number(touch.before)
                touched.append((path_number(path), number, touch.kind, before))
        database.executemany("INSERT INTO changes VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
        new = [(at, path) for path, at in paths.items() if at > first]
        database.executemany("INSERT INTO paths VALUES (?,?)", new)
        database.executemany("INSERT OR REPLACE INTO touches VALUES (?,?,?,?)", sorted(touched))

    # --- what is asked of it ---------------------------------------------------------------------------------------

    def reachable(self, release: str, since: int | None = None) -> list[str]:
        """Hashes of what `release` contains, newest first, merges included; `since` is about committing."""
        self.update(release)
        limit = () if since is None else (f"--since-as-filter={_moment(since)}",)
        return git(self.git_folder, "rev-list", *limit, release, "--").decode().split()

    def changes(self, shas: Iterable[str]) -> dict[str, Change]:
        """What is known of the commits named; those that are not in the index are left out."""
        query = "SELECT * FROM changes WHERE sha IN (SELECT value FROM json_each(?))"
        with closing(self._database()) as database:
            return {row[1]: _row(row) for row in database.execute(query, (_listed(shas),))}

    def touches(self, paths: Iterable[str]) -> dict[str, list[Touch]]:
        """Every touch of the files named, in no order. Merges have none."""
        query = """
            SELECT c.sha, t.kind, b.path FROM paths p JOIN touches t ON t.path = p.id
            JOIN changes c ON c.id = t.change LEFT JOIN paths b ON b.id = t.before WHERE p.path = ?
        """
        found: dict[str, list[Touch]] = {}
        with closing(self._database()) as database:
            for path in dict.fromkeys(paths):
                for sha, kind, before in database.execute(query, (os.fsencode(path),)):
                    touch = Touch(sha, kind, None if before is None else os.fsdecode(before))
                    found.setdefault(path, []).append(touch)
        return found

    def renames(self, release: str) -> list[tuple[str, str]]:
        """Every rename that is known, (before, after), the oldest first. Raises as `update`."""
        self.update(release)
        query = """
            SELECT b.path, p.path FROM touches t JOIN paths p ON p.id = t.path JOIN paths b ON b.id = t.before
            JOIN changes c ON c.id = t.change WHERE t.before IS NOT NULL AND t.kind = 'R' ORDER BY c.committed, c.id
        """
        with closing(self._database()) as database:
            return [(os.fsdecode(before), os.fsdecode(after)) for before, after in database.execute(query)]

    def files(self, shas: Iterable[str]) -> dict[str, list[str]]:
        """The files that each of the commits touched."""
        query = """
            SELECT c.sha, p.path FROM changes c JOIN touches t ON t.change = c.id JOIN paths p ON p.id = t.path
            WHERE c.sha IN (SELECT value FROM json_each(?))
        """
        found: dict[str, list[str]] = {}
        with closing(self._database()) as database:
            for sha, path in database.execute(query, (_listed(shas),)):
                found.setdefault(sha, []).append(os.fsdecode(path))
        return found

    # --- bulk reading ----------------------------------------------------------------------------------------------

    def hunks(self, shas: Sequence[str], paths: Sequence[str] = ()) -> dict[str, list[Hunk]]:
        """What each of the commits changed against its first parent, blanks aside; with `paths`, only there."""
        found: dict[str, list[Hunk]] = {sha: [] for sha in shas}
        unreadable = 0
        pending = [list(shas)] if shas else []
        while pending:
            some = pending.pop()
            try:
                for sha, hunk in hunks(self._diffs(some, paths)):
                    found.setdefault(sha, []).append(hunk)
            except (NotFound, Unavailable):
                half = len(some) // 2
                unreadable += not half
                pending += [some[:half], some[half:]] if half else []
        if unreadable > max(len(shas) * MISSING, 3):
            raise Unavailable(
                f"The history of {self.name} lacks the content of {unreadable} of {len(shas)} changes; "
                "mirror a full clone."
            )
        return found

    def _diffs(self, shas: Sequence[str], paths: Sequence[str]) -> bytes:
        wanted = ("diff-tree", "--stdin", "-r", "-p", "--root", "-m", "--first-parent", "--unified=0", "-w",
                  "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
                  "--dst-prefix=b/")  # fmt: skip
        return git(self.git_folder, *wanted, "--", *paths, stdin="\n".join(shas).encode() + b"\n")

    def blame(
        self,
        release: str,
        path: str,
        ranges: Sequence[tuple[int, int]],
        *,
        since: int | None = None,
        passed_over: Sequence[str] = (),
    ) -> list[BlameLine]:
        """Who last wrote the lines (1-based, inclusive), through moves and blanks, and behind the commits that are
        `passed_over`. Lines older than `since` go to a commit from before it. Empty for what is not there."""
        wanted = ["blame", "-w", "-M", "--porcelain"]
        wanted += [f"-L{start},{end}" for start, end in ranges]
        wanted += [f"--ignore-rev={sha}" for sha in passed_over]
        wanted += [] if since is None else [f"--since={_moment(since)}"]
        try:
            return list(_blamed(git(self.git_folder, *wanted, release, "--", path)))
        except (NotFound, Unavailable):
            return []  # no such file, or fewer lines than were asked for: nobody is to blame

    def grep(self, release: str, pattern: str, folders: Sequence[str] = ()) -> list[tuple[str, int, str]]:
        """(path, line number, line) of the lines in which an extended regular expression matches whole words, in the
        folders (or files) named."""
        wanted = ("grep", "-z", "-n", "-I", "-w", "-E", "--no-color", "-e", pattern, release, "--", *folders)
        try:
            printed = git(self.git_folder, *wanted)
        except Unavailable:  # git says "nothing found" by its exit code alone
            return []
        found = (line.split(b"\0", 2) for line in printed.split(b"\n"))
        start = len(release) + 1
        return [
            (os.fsdecode(parts[0][start:]), int(parts[1]), parts[2].decode("utf-8", "replace")[:400])
            for parts in found
            if len(parts) == 3
        ]


def _moment(seconds: int) -> str:
    """A time as git reads it beyond doubt: a smaller number could be a date."""
    return str(max(seconds, 100_000_000))


def _blamed(printed: bytes) -> Iterator[BlameLine]:
    """Porcelain: a head for each line; the file's name only where a commit is named first or the name differs."""
    commit, original, line = "", 0, 0
    names: dict[str, str] = {}
    expects_head = True
    for text in printed.split(b"\n"):
        if expects_head and text:
            head = text.split(b" ")
            commit, original, line = head[0].decode(), int(head[1]), int(head[2])
            expects_head = False
        elif text.startswith(b"filename "):
            names[commit] = os.fsdecode(unquote(text.removeprefix(b"filename ")))
        elif text.startswith(b"\t"):
            said = text[1:].decode("utf-8", "replace")
            yield BlameLine(line, commit, original, names.get(commit, ""), said)
            expects_head = True


def _listed(values: Iterable[str]) -> str:
    """Many values as one parameter."""
    return json.dumps(list(dict.fromkeys(values)))


def _row(row: tuple[int, str, str, str, int, int, str, str | None, str | None, str | None]) -> Change:
    _, sha, parents, author, authored, committed, subject, pull, reverts, picked = row
    return Change(sha, tuple(parents.split()), author, authored, committed, subject, pull,
                  tuple((reverts or "").split()), tuple((picked or "").split()))  # fmt: skip
