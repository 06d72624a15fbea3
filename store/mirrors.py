"""Bare mirrors of the team's repositories, read through the git command line (the fastest of all that was
tried).

Only `Mirrors` writes, and only what the remote has; a `Mirror` reads. Commits are addressed by their hash, so
what is read once stays true, whatever is fetched meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

from store import export
from store.commits import BlameLine, CommitInfo
from store.errors import NotAllowed, NotFound, Unavailable
from store.git import FETCHING, UPLOAD_PACK, git, git_says, without_credentials
from store.git import unquote as unquote_path
from store.history import History

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOG = "--format=%H%x00%P%x00%an <%ae>%x00%at%x00%ct%x00%s"
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--full-index", "--find-renames")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
# What a repository's own .gitattributes may not decide: which files an export lacks, and what stands in them.
_ATTRIBUTES = "* -export-ignore -export-subst -text -ident !working-tree-encoding !diff\n"


class Mirror:
    """One repository, read-only. Paths are relative to its root, with forward slashes; revisions that are not
    full hashes are resolved first. Every method raises NotFound for a commit that is not there and
    Unavailable where the history is incomplete (a partial clone) or git fails."""

    def __init__(self, name: str, folder: Path, index: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self._index = index or folder.with_suffix(".history")

    @cached_property
    def history(self) -> History:
        """The index of this repository's history, beside the mirror unless another place was given."""
        return History(self.name, self.folder, self._index)

    def resolve(self, rev: str) -> str | None:
        """The commit that a branch, tag, hash or expression means, or None."""
        if not rev or "\0" in rev or "\n" in rev:
            return None
        try:
            wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
            return git(self.folder, *wanted).decode().strip()
        except (NotFound, Unavailable):
            return None

    def head(self) -> str:
        """The newest commit of the default branch. Raises NotFound for a repository without commits."""
        found = self.resolve("HEAD")
        if found is None:
            raise NotFound(f"The repository {self.name} has no commits on its default branch.")
        return found

    def head_at(self, moment: datetime) -> str | None:
        """The commit that the default branch had at a moment, by the times of committing along its first parents; None
        where it had none yet."""
        until = f"--before={moment.astimezone(UTC).isoformat()}"
        listed = git(self.folder, "rev-list", "-1", "--first-parent", until, self.head(), "--")
        return listed.decode().strip() or None

    def default_branch(self) -> str:
        """The name of the branch that HEAD is on. Raises NotFound where it is on none."""
        if not git_says(self.folder, "symbolic-ref", "--quiet", "HEAD"):
            raise NotFound(f"The repository {self.name} has no default branch.")
        return git(self.folder, "symbolic-ref", "--short", "HEAD").decode().strip()

    def branches(self) -> dict[str, str]:
        """Branch name to commit."""
        return self._references("refs/heads")

    def tags(self) -> dict[str, str]:
        """Tag name to the commit it means; tags of anything else are left out."""
        return self._references("refs/tags")

    def is_ancestor(self, ancestor: str, of: str) -> bool:
        """Whether `of` contains `ancestor` (every commit contains itself)."""
        return git_says(self.folder, "merge-base", "--is-ancestor", self._commit(ancestor), self._commit(of))

    def paths(self, commit: str) -> list[str]:
        """Every file (and symbolic link) of the tree; submodules are not files."""
        listed = git(self.folder, "ls-tree", "-r", "-z", "--full-tree", self._commit(commit))
        entries = (entry.partition(b"\t") for entry in listed.split(b"\0") if entry)
        return [os.fsdecode(path) for head, _, path in entries if b" blob " in head]

    def executable(self, commit: str, paths: Sequence[str]) -> frozenset[str]:
        """Those of the paths that are files which may be run."""
        plain = [path for path in paths if path and "\0" not in path]
        if not plain:
            return frozenset()
        listed = git(self.folder, "ls-tree", "-z", "--full-tree", self._commit(commit), "--", *plain)
        entries = (entry.partition(b"\t") for entry in listed.split(b"\0") if entry)
        return frozenset(os.fsdecode(path) for head, _, path in entries if head.startswith(b"100755"))

    def blob(self, commit: str, path: str) -> bytes | None:
        """A file's content, or None where there is no such file."""
        return self.blobs(commit, (path,))[path]

    def blobs(self, commit: str, paths: Sequence[str]) -> dict[str, bytes | None]:
        """The content of many files by one process: a hundred cost little more than one."""
        sha = self._commit(commit)
        plain = [path for path in paths if path and "\n" not in path and "\0" not in path]
        found: dict[str, bytes | None] = dict.fromkeys(paths)
        found.update(zip(plain, self._batch([f"{sha}:{path}" for path in plain]), strict=True))
        for path in (
            path for path, content in found.items() if content is None and path and "\0" not in path
        ):
            found[path] = self._blob_by_entry(sha, path)
        return found

    def text(self, commit: str, path: str) -> str | None:
        """A file's text, or None where it is absent or not UTF-8."""
        content = self.blob(commit, path)
        if content is None or b"\0" in content[:8192]:
            return None
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def log(
        self,
        commit: str,
        *,
        paths: Sequence[str] = (),
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[CommitInfo]:
        """Commits reachable from `commit`, newest first and none before its children, with all files that
        each touched (a merge: against its first parent; a rename: both names). With `paths`: those that
        touched one of them. `since` is about the time of committing."""
        wanted = ["log", "-z", "--raw", "--no-renames", "--no-abbrev", "--full-diff", "--date-order", _LOG]
        wanted += ["--diff-merges=first-parent", "--no-show-signature", "--root"]
        wanted += [] if since is None else [f"--since-as-filter={since.astimezone(UTC).isoformat()}"]
        wanted += [] if limit is None else [f"--max-count={limit}"]
        return list(_commits(git(self.folder, *wanted, self._commit(commit), "--", *paths)))

    def between(self, old: str, new: str) -> list[CommitInfo]:
        """The commits that `new` contains and `old` does not, newest first, merges left out, without their files."""
        wanted = ("log", "-z", "--no-merges", "--date-order", "--no-show-signature", _LOG)
        ends = (self._commit(new), f"^{self._commit(old)}")
        return list(_commits(git(self.folder, *wanted, *ends, "--")))

    def diff(self, commit: str, *, paths: Sequence[str] = (), context: int = 3) -> str:
        """The unified diff of a commit against its first parent (a root commit: against the empty tree)."""
        wanted = (
            "show",
            "--format=",
            "--diff-merges=first-parent",
            *_DIFF,
            *_PREFIXES,
            f"--unified={context}",
        )
        return git(self.folder, *wanted, self._commit(commit), "--", *paths).decode("utf-8", "replace")

    def diff_between(self, old: str, new: str, *, paths: Sequence[str] = (), context: int = 3) -> str:
        """The unified diff from one tree to another."""
        wanted = ("diff-tree", "-r", "-p", *_DIFF, *_PREFIXES, f"--unified={context}")
        ends = (self._commit(old), self._commit(new))
        return git(self.folder, *wanted, *ends, "--", *paths).decode("utf-8", "replace")

    def renamed(self, old: str, new: str) -> dict[str, str]:
        """Path at `old` to path at `new`, for files that moved and stayed much the same."""
        wanted = ("diff-tree", "-r", "-z", "--find-renames=40%", "--diff-filter=R", "--name-status")
        fields = git(self.folder, *wanted, self._commit(old), self._commit(new)).split(b"\0")
        return {os.fsdecode(fields[i + 1]): os.fsdecode(fields[i + 2]) for i in range(0, len(fields) - 2, 3)}

    def blame(self, commit: str, path: str, start: int, end: int) -> list[BlameLine]:
        """Who last touched lines start..end (1-based, inclusive, cut at the end of the file), whitespace
        ignored.

        Raises NotFound where there is no such file."""
        sha = self._commit(commit)
        content = self.blob(sha, path)
        if content is None:
            raise NotFound(f"There is no file {path!r} in {self.name} at {sha[:12]}.")
        last = content.count(b"\n") + (not content.endswith(b"\n"))
        start, end = max(start, 1), min(end, last)
        if not content or start > end:
            return []
        wanted = ("blame", "-w", "--line-porcelain", f"-L{start},{end}", sha, "--", path)
        return list(_blamed(git(self.folder, *wanted)))

    def export(self, commit: str, dest: Path) -> None:
        """Write the tree of a commit to a folder that is empty or not there yet; see `store.export` for what
        is left out. Raises ValueError where something is in the folder."""
        dest.mkdir(parents=True, exist_ok=True)
        if any(dest.iterdir()):
            raise ValueError(f"{dest} is not empty")
        with tempfile.TemporaryFile() as archive:
            git(self.folder, "archive", "--format=tar", self._commit(commit), stdout=archive)
            archive.seek(0)
            export.unpack(archive, dest)

    def _commit(self, rev: str) -> str:
        """A full hash: nothing else ever reaches git where an option could stand."""
        sha = rev if _SHA.fullmatch(rev) else self.resolve(rev)
        if sha is None:
            raise NotFound(f"There is no commit {rev[:100]!r} in {self.name}; run `nightdesk repo sync`.")
        return sha

    def _references(self, below: str) -> dict[str, str]:
        fields = "%(refname:strip=2)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)"
        found = {}
        for line in git(self.folder, "for-each-ref", f"--format={fields}", below).split(b"\n"):
            name, kind, sha, peeled_kind, peeled = line.split(b"\0") if line else (b"",) * 5
            if b"commit" in (kind, peeled_kind):
                found[os.fsdecode(name)] = (sha if kind == b"commit" else peeled).decode()
        return found

    def _batch(self, names: Sequence[str]) -> list[bytes | None]:
        """Contents by object name, in order; None for what is missing or is not a file."""
        if not names:
            return []
        answer = git(
            self.folder, "cat-file", "--batch", stdin=b"".join(os.fsencode(n) + b"\n" for n in names)
        )
        found: list[bytes | None] = []
        at = 0
        for name in names:
            line = answer[at : answer.index(b"\n", at)]
            at += len(line) + 1
            if line == os.fsencode(name) + b" missing":
                found.append(None)
                continue
            _, kind, size = line.rsplit(b" ", 2)
            content = answer[at : at + int(size)]
            at += int(size) + 1
            found.append(content if kind == b"blob" else None)
        return found

    def _blob_by_entry(self, sha: str, path: str) -> bytes | None:
        """A file that could not be asked for by name: a line break in it, or absent; or its content is not
        here."""
        listed = git(self.folder, "ls-tree", "-z", "--full-tree", sha, "--", path)
        head, _, name = listed.split(b"\0")[0].partition(b"\t")
        if b" blob " not in head or name != os.fsencode(path):
            return None
        content = self._batch([head.split(b" ")[2].decode()])[0]
        if content is None:
            raise Unavailable(
                f"The history of {self.name} lacks the content of {path!r}; mirror a full clone."
            )
        return content


class Mirrors:
    """The folder in which the mirrors lie, shared by the processes of an installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add(self, name: str, url: str) -> Mirror:
        """Mirror a repository (a local path, a bundle, or an address); the mirror there is, if it is of the
        same one.

        Raises NotFound where there is no repository, NotAllowed where the name stands for another one,
        Unavailable where it cannot be reached or lacks a part of its history (a shallow clone would name
        false causes)."""
        source = _source(url)
        folder = self._folder(name)
        with self._lock(name):
            if folder.exists():
                known = git(folder, "config", "--get", "remote.origin.url").decode().removesuffix("\n")
                if known != source:
                    shown = without_credentials(known)
                    raise NotAllowed(f"The name {name} stands for {shown} already; choose another one.")
                return Mirror(name, folder)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as temporary:
                fresh = Path(temporary) / "mirror"
                _clone(source, fresh)
                fresh.rename(folder)
        return Mirror(name, folder)

    def sync(self, name: str) -> None:
        """Fetch what is new, drop what is gone, follow the default branch. Raises NotFound, Unavailable."""
        folder = self.get(name).folder
        with self._lock(name):
            wanted = ("fetch", "--quiet", "--prune", "--no-write-fetch-head", UPLOAD_PACK, "origin")
            git(folder, *wanted, seconds=FETCHING, remote=True)
            told = git(
                folder, "ls-remote", "--symref", UPLOAD_PACK, "origin", "HEAD", seconds=FETCHING, remote=True
            )
            followed = re.match(rb"ref: (refs/heads/[^\t\n]+)\tHEAD\n", told)
            if followed:
                git(folder, "symbolic-ref", "HEAD", os.fsdecode(followed[1]))
            _settle_head(folder)
            _index_history(folder)

    def get(self, name: str) -> Mirror:
        """The mirror of this name. Raises NotFound."""
        folder = self._folder(name)
        if not folder.is_dir():
            raise NotFound(f"There is no repository {name!r}; `nightdesk repo list` lists them.")
        return Mirror(name, folder)

    def names(self) -> list[str]:
        """The names of all mirrors, in order."""
        return sorted(unquote(each.name.removesuffix(".git")) for each in self.folder.glob("[!.]*.git"))

    def _folder(self, name: str) -> Path:
        """Where a mirror lies. Quoted, so that "owner/name" is one folder and no name leads elsewhere."""
        return self.folder / f"{quote(name, safe='').replace('.', '%2E')}.git"

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """One process at a time changes a mirror. Raises Unavailable at once while another does."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder(name).with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"Cannot write to {self.folder}: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Unavailable(
                f"The repository {name} is being fetched already; try again.", retry=True
            ) from error
        finally:
            os.close(descriptor)


def _source(url: str) -> str:
    """A local path made absolute; an address as it is. Raises NotFound for what is neither."""
    if Path(url).exists():
        return str(Path(url).resolve())
    is_address = re.match(r"(?:file|git|https?|ssh)://|[A-Za-z0-9_.][^/:\s]*:(?!:)", url)
    if not is_address:
        raise NotFound(f"There is no git repository at {without_credentials(url)[:200]!r}.")
    return url


def _clone(source: str, folder: Path) -> None:
    wanted = ("clone", "--quiet", "--mirror", UPLOAD_PACK, "--", source, str(folder))
    git(None, *wanted, seconds=FETCHING, remote=True)
    if (folder / "shallow").exists():
        shown = without_credentials(source)
        raise Unavailable(
            f"{shown} is a shallow clone; run `git fetch --unshallow` there, or give the full address."
        )
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "attributes").write_text(_ATTRIBUTES)
    _settle_head(folder)
    _index_history(folder)


def _settle_head(folder: Path) -> None:
    """Put HEAD on a branch that exists, where the source did not say which (a bundle need not hold its HEAD):
    on `main` or `master`, else on the one with the newest commit."""
    listed = git(folder, "for-each-ref", "--sort=-committerdate", "--format=%(refname)", "refs/heads")
    branches = os.fsdecode(listed).split()
    if not branches or os.fsdecode(git(folder, "symbolic-ref", "HEAD")).strip() in branches:
        return
    usual = [branch for branch in ("refs/heads/main", "refs/heads/master") if branch in branches]
    git(folder, "symbolic-ref", "HEAD", (usual or branches)[0])


def _index_history(folder: Path) -> None:
    """What makes blame and log over all history four times as fast."""
    git(folder, "commit-graph", "write", "--reachable", "--changed-paths", seconds=FETCHING)


def _commits(printed: bytes) -> Iterator[CommitInfo]:
    """Fields apart by NUL, six for a commit, then two for each file: one that starts with a colon, and the
    path.

    No name, subject or path can look like something else: none of them can hold a NUL, and each has its
    place."""
    fields = iter(printed.split(b"\0"))
    sha = next(fields)
    while sha:
        parents, author, authored, committed, subject = (next(fields) for _ in range(5))
        files: list[str] = []
        following = next(fields, b"")
        while following.lstrip(b"\n").startswith(b":"):
            files.append(os.fsdecode(next(fields)))
            following = next(fields, b"")
        yield CommitInfo(
            sha=sha.decode(),
            parents=tuple(parents.decode().split()),
            author=author.decode("utf-8", "replace"),
            authored_at=_moment(authored),
            committed_at=_moment(committed),
            subject=subject.decode("utf-8", "replace"),
            files=tuple(files),
        )
        sha = following


def _moment(seconds: bytes) -> datetime:
    """Commit times are whatever somebody wrote: those beyond the calendar become its end."""
    return datetime.fromtimestamp(min(max(int(seconds or 0), 0), 253402300799), UTC)


def _blamed(printed: bytes) -> Iterator[BlameLine]:
    """Groups of header lines, each ended by the line itself after a tab."""
    commit, original, line, path = "", 0, 0, ""
    expects_head = True
    for text in printed.split(b"\n"):
        if expects_head and text:
            head = text.split(b" ")
            commit, original, line = head[0].decode(), int(head[1]), int(head[2])
            expects_head = False
        elif text.startswith(b"filename "):
            path = os.fsdecode(unquote_path(text.removeprefix(b"filename ")))
        elif text.startswith(b"\t"):
            yield BlameLine(line, commit, original, path, text[1:].decode("utf-8", "replace"))
            expects_head = True
