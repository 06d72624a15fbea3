"""Who is to look after a failing place: by the code owners file, else the last author of the failing line.

A suggestion, made where nobody was assigned; it says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from store.incident import CodeLocation
from store.mirrors import Mirror

_WILD = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")


@dataclass(frozen=True)
class Suggestion:
    """An owner, and the sentence that says why."""

    owner: str
    why: str


def suggested(mirror: Mirror, place: CodeLocation) -> Suggestion | None:
    """The owner of a place, or None where nothing tells. The code owners file is the default branch's; the author is
    that of the release. Raises NotFound, Unavailable where the history cannot be read."""
    head = mirror.head()
    for file in FILES:
        text = mirror.text(head, file)
        if text is None:
            continue
        if owners := code_owners(text, place.path):
            return Suggestion(" ".join(owners), f"{file} of {mirror.name} names them for {place.path}.")
        break
    return _last_author(mirror, place)


def owners_of(mirror: Mirror, paths: Sequence[str]) -> list[str]:
    """The code owners of some files who have an account or a team on the forge ("@ann", "@org/team"), as the default
    branch names them. Raises NotFound, Unavailable."""
    head = mirror.head()
    text = next((found for file in FILES if (found := mirror.text(head, file)) is not None), "")
    named = dict.fromkeys(owner for path in paths for owner in code_owners(text, path))
    return [owner for owner in named if re.fullmatch(r"@[\w.-]+(?:/[\w./-]+)?", owner)]


def code_owners(text: str, path: str) -> tuple[str, ...]:
    """The owners of a path: those of the last line whose pattern matches; none where that line names none."""
    owners: tuple[str, ...] = ()
    for line in text.splitlines():
        fields = re.sub(r"(^|\s)#.*", "", line).strip().replace("\\ ", "\0").split()
        if not fields or fields[0].startswith(("[", "^[")):
            continue  # empty, or a section of GitLab's
        if _pattern(fields[0].replace("\0", " ")).fullmatch(path):
            owners = tuple(fields[1:])
    return owners


def _pattern(glob: str) -> re.Pattern[str]:
    """A pattern of a code owners file, as in .gitignore: `/` at its start or inside ties it to the root, a folder
    means everything below it, `*` stays in one folder and `**` does not."""
    anchored = "/" in glob.rstrip("/")
    bare = glob.strip("/")
    spelled = "".join(
        _WILD.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", bare)
    )
    below = "" if bare.endswith(("/*", "/**")) else "/.*" if glob.endswith("/") else "(?:/.*)?"
    return re.compile(("" if anchored else "(?:.*/)?") + spelled + below)


def _last_author(mirror: Mirror, place: CodeLocation) -> Suggestion | None:
    """Who last touched the failing line in the commit that ran."""
    if place.line is None:
        return None
    lines = mirror.blame(place.commit, place.path, place.line, place.line)
    if not lines:
        return None
    commit = mirror.log(lines[0].commit, limit=1)[0]
    when = f"{commit.authored_at:%Y-%m-%d}"
    return Suggestion(
        commit.author, f"They last changed {place.path}:{place.line}, on {when} ({commit.sha[:10]})."
    )
