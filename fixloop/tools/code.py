"""Reading the team's code at the running release, and its history; nothing newer, and no file that holds secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from fixloop.bench import Bench
from fixloop.changes.outline import outline
from fixloop.tools import NoSuch, Refused, Tool
from store.errors import NightdeskError

LINES = 160  # of one reading
FOUND = 60  # lines of one search
_SECRET = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "id_rsa*", "id_ed25519*", ".netrc",
    ".npmrc", ".pypirc", "credentials*", "secrets.*", "*.tfvars", "*.tfstate", ".htpasswd", "kubeconfig*",
)  # fmt: skip


class CodeTools:
    """The tools over one bench. A commit is one that the running release contains."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def all(self) -> list[Tool]:
        """Every one of them."""
        repo, path = ("string", "name of the repository"), ("string", "path from the repository's root")
        return [
            Tool("read", "Lines of a file of the running release, numbered.",
                 {"repo": repo, "path": path, "start": ("integer", "first line"), "end": ("integer", "last line")},
                 self._read),
            Tool("search", "Lines of the release in which an extended regular expression matches whole words.",
                 {"repo": repo, "pattern": ("string", "extended regular expression"),
                  "folder": ("string?", "only below this folder")}, self._search),
            Tool("symbol", "Where a function or class is defined, with its code.",
                 {"repo": repo, "name": ("string", "its bare name")}, self._symbol),
            Tool("references", "Lines that name something.",
                 {"repo": repo, "name": ("string", "an identifier")}, self._references),
            Tool("git_log", "Commits that touched a file, newest first.",
                 {"repo": repo, "path": path}, self._log),
            Tool("git_show", "What a commit changed, in one file or in all.",
                 {"repo": repo, "commit": ("string", "its hash"), "path": ("string?", "only this file")}, self._show),
            Tool("git_blame", "Who last wrote the lines of a file of the release.",
                 {"repo": repo, "path": path, "start": ("integer", "first line"), "end": ("integer", "last line")},
                 self._blame),
        ]  # fmt: skip

    def _release(self, repo: str) -> str:
        commit = self._bench.layout.commits.get(repo)
        if commit is None:
            known = ", ".join(self._bench.layout.commits)
            raise NoSuch(f"there is no repository {repo[:60]!r}; there are {known}")
        return commit

    def _text(self, repo: str, path: str) -> list[str]:
        checked(path)
        text = self._bench.repositories.get(repo).text(self._release(repo), path)
        if text is None:
            raise NoSuch(f"{path[:120]} is not a text file of the release")
        return text.split("\n")

    def _read(self, given: Mapping[str, Any]) -> str:
        lines, first, last = self._text(given["repo"], given["path"]), *_range(given)
        return "\n".join(f"{at} {lines[at - 1]}" for at in range(first, min(last, len(lines)) + 1))

    def _search(self, given: Mapping[str, Any]) -> str:
        pattern, folder = given["pattern"], given["folder"]
        if len(pattern) > 200 or not pattern.strip():
            raise NoSuch("a pattern has 1 to 200 characters")
        if folder:
            checked(folder)
        try:
            re.compile(pattern)
        except (re.error, RecursionError):
            raise NoSuch("the pattern is not a regular expression") from None
        return self._grep(given["repo"], pattern, [folder] if folder else [])

    def _references(self, given: Mapping[str, Any]) -> str:
        return self._grep(given["repo"], re.escape(_identifier(given["name"])), [])

    def _grep(self, repo: str, pattern: str, folders: Sequence[str]) -> str:
        release = self._release(repo)
        try:
            found = self._bench.repositories.get(repo).history.grep(release, pattern, folders)
        except NightdeskError as problem:
            raise NoSuch(str(problem)) from None
        kept = [f"{path}:{number}: {line}" for path, number, line in found if not holds_secrets(path)]
        more = f"\n… {len(kept) - FOUND} more" if len(kept) > FOUND else ""
        return "\n".join(kept[:FOUND]) + more if kept else "no line matches"

    def _symbol(self, given: Mapping[str, Any]) -> str:
        name, repo = _identifier(given["name"]), given["repo"]
        release = self._release(repo)
        mirror = self._bench.repositories.get(repo)
        parts = []
        for path in dict.fromkeys(path for path, _, _ in mirror.history.grep(release, re.escape(name))):
            if holds_secrets(path):
                continue
            parts += list(_defined(path, mirror.text(release, path) or "", name))
            if len(parts) >= 3:
                break
        if not parts:
            raise NoSuch(f"nothing of the name {name!r} is defined in {repo}")
        return "\n\n".join(parts[:3])

    def _log(self, given: Mapping[str, Any]) -> str:
        checked(given["path"])
        mirror = self._bench.repositories.get(given["repo"] if self._release(given["repo"]) else "")
        infos = mirror.log(self._release(given["repo"]), paths=[given["path"]], limit=20)
        rows = [
            f"{info.sha[:12]} {info.authored_at:%Y-%m-%d} {info.author}: {info.subject}" for info in infos
        ]
        return "\n".join(rows) or "no commit of the release touched it"

    def _show(self, given: Mapping[str, Any]) -> str:
        repo, path = given["repo"], given["path"]
        release, mirror = self._release(repo), self._bench.repositories.get(repo)
        commit = mirror.resolve(given["commit"])
        if commit is None:
            raise NoSuch(f"{repo} has no commit {given['commit'][:40]!r}")
        if commit != release and not mirror.is_ancestor(commit, release):
            raise Refused("outside_release", f"{commit[:12]} is not in the running release")
        if path:
            checked(path)
        info = mirror.log(commit, limit=1)[0]
        paths = [path] if path else [each for each in info.files if not holds_secrets(each)]
        diff = mirror.diff(commit, paths=paths) if paths else ""
        return f"{info.sha[:12]} {info.authored_at:%Y-%m-%d} {info.author}: {info.subject}\n{diff}"

    def _blame(self, given: Mapping[str, Any]) -> str:
        checked(given["path"])
        release, (first, last) = self._release(given["repo"]), _range(given)
        mirror = self._bench.repositories.get(given["repo"])
        last = min(last, len(self._text(given["repo"], given["path"])))
        blamed = mirror.blame(release, given["path"], first, max(first, last))
        return "\n".join(f"{each.line} {each.commit[:12]} {each.text}" for each in blamed)


def _defined(path: str, text: str, name: str) -> Iterator[str]:
    lines = text.split("\n")
    for one in outline(path, text):
        if one.name == name:
            shown = range(one.start, min(one.end, one.start + LINES) + 1)
            yield f"{path}:{one.start}\n" + "\n".join(
                f"{at} {lines[at - 1]}" for at in shown if at <= len(lines)
            )


def _range(given: Mapping[str, Any]) -> tuple[int, int]:
    first, last = max(1, given["start"]), given["end"]
    if last < first:
        raise NoSuch("the last line is before the first")
    return first, min(last, first + LINES)


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w]{0,80}", name):
        raise NoSuch("a name is an identifier, without dots")
    return name


def holds_secrets(path: str) -> bool:
    """Whether a file is of a kind that holds secrets: it is not read to a model, whatever is in it."""
    name = PurePosixPath(path).name.lower()
    return any(fnmatch(name, pattern) for pattern in _SECRET) and not name.endswith((".py", ".example"))


def checked(path: str) -> None:
    """Raises Refused for a path that leaves the repository or is of a kind that holds secrets."""
    pure = PurePosixPath(path)
    odd = not path or "\\" in path or "\0" in path or path.startswith(("~", "-", ":"))
    if odd or pure.is_absolute() or ".." in pure.parts or ".git" in pure.parts:
        raise Refused("path_traversal", f"{path[:120]!r} is not a path inside of the repository")
    if holds_secrets(path):
        raise Refused("secret_file", f"{path[:120]} is of a kind that holds secrets")
