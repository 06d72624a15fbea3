"""From the name of a test that exists (`FILE::NAME`) to the workbench that it is run on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from fixloop.bench import Bench
from fixloop.existing import ExistingTest
from server.house import House
from server.repairs.workbench import prepare_repository
from store import queries
from store.errors import BadPayload, NotFound

MOST = 1_000_000  # characters of a test file


def existing_test(house: House, given: str, repo: str | None) -> tuple[ExistingTest, Bench]:
    """The test, and the connected repository at the newest commit of its main branch to run it on. The file's text is
    what is on disk; what it has next to it (fixtures in a conftest) is the repository's. Raises BadPayload,
    NotFound."""
    file, _, name = given.partition("::")
    path = Path(file)
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadPayload(f"The test {file} cannot be read: {problem}.") from problem
    if len(source) > MOST:
        raise BadPayload(f"The test {file} is larger than {MOST:,} characters.")
    chosen = _repository(house, path.resolve(), repo)
    bench = prepare_repository(house, chosen, datetime.now(UTC))
    commit = bench.layout.repo(chosen).commit
    mirror = bench.repositories.get(chosen)
    place = _place(path.resolve(), list(mirror.paths(commit)))
    changed = mirror.text(commit, place) != source
    return ExistingTest(chosen, place, name, source, changed), bench


def _repository(house: House, path: Path, repo: str | None) -> str:
    """The repository that was named, the one whose folder the file is in, or the only one there is."""
    rows = queries.repositories(house.database)
    names = [row.name for row in rows]
    if repo is not None:
        if repo not in names:
            raise NotFound(f"There is no repository {repo!r}; see `nightdesk repo list`.")
        return repo
    around = [row.name for row in rows if row.url and path.is_relative_to(Path(row.url).resolve())]
    if len(around) == 1 or len(names) == 1:
        return (around or names)[0]
    raise NotFound(
        f"Say which repository the test is for with --repo: one of {', '.join(names) or 'none is connected'}."
    )


def _place(path: Path, paths: list[str]) -> str:
    """The file's place in the repository: the longest end of its path that is there, else its name."""
    parts = path.parts[1:]
    known = set(paths)
    ends = (str(PurePosixPath(*parts[at:])) for at in range(len(parts)))
    return next((end for end in ends if end in known), path.name)
