"""The evidence of labelled cases, gathered once and kept, for `bench.train_causes`."""

from __future__ import annotations

import pickle
import sys
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fixloop.changes import features
from fixloop.changes.clues import Clues
from fixloop.changes.evidence import Scene, look
from fixloop.changes.model import FUNCTIONS, TRACE
from server.evaluation import change_cases
from server.evaluation.change_cases import Answer, Question, asked, clues_for, history_folder, read_cases
from store import history
from store.errors import NightdeskError
from store.mirrors import Mirror

DAYS = 365
CAP = 60  # cases of one repository that are asked by function; evenly spread (there are few traces: all are asked)
Wanted = tuple[str, Question, Answer]  # the kind of question, what is asked, what is right


@dataclass(frozen=True)
class Example:
    """One case: a row of features for each candidate, and which of them are right."""

    id: str
    repo: str
    kind: str
    inside: bool  # a culprit is in the window
    placed: bool  # it led to a place in running code
    vectors: dict[str, dict[str, float]]
    culprits: frozenset[str]


def gather(path: Path, repos: Path, cache: Path, jobs: int, until: float) -> tuple[list[Example], int]:
    """The examples of both kinds of question, and how many cases remain that were not reached before `until`.

    The evidence of each case is kept in `cache` by what it was made from and with, so that the next run goes on where
    this one ended. One process has all cases of a repository, the newest first: its index is then made in one go."""
    cases = [case for case in read_cases(path) if case[1].label != "R"]
    wanted: dict[str, list[Wanted]] = {}
    for repo in dict.fromkeys(question.repo for question, _ in cases):
        of_repo = [case for case in cases if case[0].repo == repo]
        for kind in (TRACE, FUNCTIONS):
            some = [(kind, *case) for case in of_repo if asked(case[0], kind)]
            spread = -(-len(some) // CAP) if kind == FUNCTIONS else 1
            wanted.setdefault(repo, []).extend(some[:: max(spread, 1)])
    largest_first = sorted(wanted.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    examples: list[Example] = []
    remain = 0
    with ProcessPoolExecutor(jobs) as pool:
        running = [
            pool.submit(_of_repository, repo, some, repos, cache, until) for repo, some in largest_first
        ]
        for (repo, some), one in zip(largest_first, running, strict=True):
            found, left = one.result()
            examples += found
            remain += left
            said = f", {left} not reached" if left else ""
            print(f"{repo}: {len(found)} of {len(some)} cases{said}", file=sys.stderr, flush=True)
    return sorted(examples, key=lambda one: (one.kind != TRACE, one.id)), remain


def _of_repository(
    repo: str, wanted: Sequence[Wanted], repos: Path, cache: Path, until: float
) -> tuple[list[Example], int]:
    """The examples of one repository, and how many of its cases were not reached."""
    made = b"".join(file.read_bytes() for file in _evidence_code())
    found: list[Example] = []
    left = 0
    for kind, question, answer in sorted(wanted, key=lambda one: -one[1].at):
        name = sha256(
            made + repr((kind, question, answer.label, sorted(answer.culprits))).encode()
        ).hexdigest()
        kept = cache / "evidence" / f"{name[:24]}.pickle"
        if not kept.exists():
            if time.time() > until:
                left += 1
                continue
            _keep(kept, _evidence(kind, question, answer, repos, cache))
        evidence = pickle.loads(zlib.decompress(kept.read_bytes()))  # noqa: S301 - our own file
        if evidence is not None:
            clues, scene, inside = evidence
            vectors = features.vectors(scene, clues)
            found.append(
                Example(question.id, repo, kind, inside, bool(clues.spots), vectors, answer.culprits)
            )
    return found, left


def _evidence_code() -> list[Path]:
    """Every file that has a part in the evidence; what only reads it may change without a new extraction."""
    changes = Path(features.__file__).parent
    readers = {"features.py", "standing.py", "model.py", "words.py", "ranking.py", "pull_requests.py"}
    return [
        *(file for file in sorted(changes.glob("*.py")) if file.name not in readers),
        Path(history.__file__),
        Path(change_cases.__file__),
    ]


def _evidence(
    kind: str, question: Question, answer: Answer, repos: Path, cache: Path
) -> tuple[Clues, Scene, bool] | None:
    """None where the case cannot be asked: a history or a commit is not there."""
    try:
        folder = history_folder(question.repo, repos)
        mirror = Mirror(question.repo, folder, cache / question.repo.replace("/", "+"))
        clues = clues_for(question, kind, mirror)
        since = question.at - DAYS * 86_400
        scene = look(clues, [(mirror, question.release)], since)[0]
        reached = set(mirror.history.reachable(question.release, since))
    except NightdeskError as error:
        print(f"left out: {question.id}: {error}", file=sys.stderr)
        return None
    return clues, scene, bool(reached & answer.culprits)


def _keep(kept: Path, evidence: object) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    written = kept.with_suffix(".part")
    written.write_bytes(zlib.compress(pickle.dumps(evidence), 1))
    written.rename(kept)
