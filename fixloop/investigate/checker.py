"""Opens every citation and drops what does not hold: a claim whose citation cannot be opened is no claim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fixloop import Repositories
from fixloop.blocks import parse as parse_diff
from fixloop.investigate.pack import Pack
from store.errors import BadPayload, NightdeskError
from store.event import Event
from store.repair import Evidence, Hypothesis

LONG = 200  # characters: of a longer text a part may be quoted, of a shorter one all of it
_LEAST = 8  # characters of a part


@dataclass(frozen=True)
class Checked:
    """The hypotheses that hold with the citations that hold, and why the rest was dropped."""

    hypotheses: tuple[Hypothesis, ...]
    dropped: tuple[str, ...]


class Checker:
    """Checks citations against the pack and the repositories. `runs` are the ids of test runs that exist."""

    def __init__(self, pack: Pack, repositories: Repositories, runs: Iterable[str] = ()) -> None:
        self._pack, self._repositories, self._runs = pack, repositories, frozenset(runs)
        self._moments = {moment.id: moment for moment in pack.moments}

    def check(self, hypotheses: Sequence[Hypothesis]) -> Checked:
        """Those with at least one citation that holds; each loses those that do not."""
        kept, dropped = [], []
        for hypothesis in hypotheses:
            held = []
            for evidence in hypothesis.evidence:
                why = self.fault(evidence)
                if why is None:
                    held.append(evidence)
                else:
                    dropped.append(f"{hypothesis.id} {evidence.kind}: {why}")
            if held:
                kept.append(hypothesis.model_copy(update={"evidence": tuple(held)}))
            else:
                dropped.append(f"{hypothesis.id} dropped: none of its citations holds")
        return Checked(tuple(kept), tuple(dropped))

    def fault(self, evidence: Evidence) -> str | None:
        """Why a citation does not hold; None where it does."""
        checks: Mapping[str, Callable[[Evidence], str | None]] = {
            "event_field": self._event_field, "code_line": self._code_line, "commit": self._commit,
            "log_line": self._log_line, "span": self._span, "document": self._document, "test_run": self._test_run,
        }  # fmt: skip
        check = checks.get(evidence.kind)
        if check is None:
            return f"there is no evidence of the kind {evidence.kind[:40]!r}"
        try:
            return check(evidence)
        except NightdeskError as problem:
            return str(problem)[:200]

    def _event_field(self, evidence: Evidence) -> str | None:
        event = self._event(evidence.event_id)
        if event is None:
            return "there is no such event"
        found, value = field_at(event, evidence.pointer or "")
        if not found:
            return f"the event has nothing at {str(evidence.pointer)[:80]!r}"
        return None if quoted(evidence.quote, value) else "the event does not say what is quoted there"

    def _event(self, event_id: str | None) -> Event | None:
        if event_id is None:
            return self._pack.first
        return next((event for event in self._pack.events if event.event_id == event_id), None)

    def _code_line(self, evidence: Evidence) -> str | None:
        opened = self._opened(evidence)
        if isinstance(opened, str):
            return opened
        repo, commit = opened
        text = self._repositories.get(repo).text(commit, evidence.path or "")
        if text is None:
            return f"{str(evidence.path)[:120]} is not a file of {commit[:9]}"
        lines, number = text.split("\n"), evidence.line or 0
        if not 0 < number <= len(lines):
            return f"{evidence.path} has no line {number}"
        if lines[number - 1].strip() != (evidence.quote or "").strip() or not (evidence.quote or "").strip():
            return f"line {number} of {evidence.path} is not what is quoted"
        return None

    def _commit(self, evidence: Evidence) -> str | None:
        opened = self._opened(evidence)
        if isinstance(opened, str):
            return opened
        repo, commit = opened
        mirror = self._repositories.get(repo)
        told = mirror.log(commit, limit=1)[0]
        if evidence.path is not None and evidence.path not in told.files:
            return f"{commit[:9]} does not touch {evidence.path[:120]}"
        if evidence.quote is None or evidence.quote.strip() == told.subject.strip():
            return None
        paths = [evidence.path] if evidence.path else ()
        changed = _changed_lines(mirror.diff(commit, paths=paths, context=0))
        wanted = [line.lstrip("+-").strip() for line in evidence.quote.splitlines() if line.strip()]
        if wanted and all(line in changed for line in wanted):
            return None
        return f"{commit[:9]} does not say what is quoted"

    def _opened(self, evidence: Evidence) -> tuple[str, str] | str:
        """The repository and the whole commit, which the running release contains; else what is wrong."""
        repo = evidence.repo or ""
        release = self._pack.commits.get(repo)
        if release is None:
            return f"there is no repository {repo[:60]!r}"
        commit = self._repositories.get(repo).resolve(evidence.commit or "")
        if commit is None:
            return f"{repo} has no commit {str(evidence.commit)[:40]!r}"
        if commit != release and not self._repositories.get(repo).is_ancestor(commit, release):
            return f"{commit[:9]} is not in the running release"
        return repo, commit

    def _log_line(self, evidence: Evidence) -> str | None:
        moment = self._moments.get(evidence.pointer or "")
        if moment is None:
            return f"there is no line {str(evidence.pointer)[:40]!r}"
        return None if quoted(evidence.quote, moment.text) else "that line does not say what is quoted"

    def _span(self, evidence: Evidence) -> str | None:
        for event in self._pack.events:
            trace = event.contexts.get("trace")
            known = {event.span_id, trace.get("span_id") if isinstance(trace, dict) else None}
            if evidence.span_id and evidence.span_id in known:
                return None
        return f"there is no span {str(evidence.span_id)[:40]!r}"

    def _document(self, evidence: Evidence) -> str | None:
        for document in self._pack.documents:
            if (document.repo, document.path) == (evidence.repo, evidence.path):
                return (
                    None
                    if quoted(evidence.quote, document.text)
                    else f"{document.path} does not say what is quoted"
                )
        return f"there is no document {str(evidence.path)[:80]!r}"

    def _test_run(self, evidence: Evidence) -> str | None:
        return None if evidence.run_id in self._runs else f"there is no run {str(evidence.run_id)[:40]!r}"


def field_at(event: Event, pointer: str) -> tuple[bool, Any]:
    """Whether an event has something at a JSON pointer, and what."""
    value: Any = event.model_dump(mode="json")
    for step in pointer.split("/")[1:] if pointer.startswith("/") else [None]:
        if step is None:
            return False, None
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.lstrip("-").isdigit() and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        else:
            return False, None
    return True, value


def quoted(quote: str | None, value: Any) -> bool:
    """Whether a text is quoted as it stands: all of a short one, any part of a long one. No quote cites its being
    there."""
    if quote is None:
        return True
    said, text = " ".join(quote.split()), " ".join(str(value).split())
    if said == text:
        return True
    return len(text) > LONG and len(said) >= _LEAST and said in text


def _changed_lines(diff: str) -> set[str]:
    try:
        blocks = parse_diff(diff)
    except BadPayload:
        return set()
    return {line.strip() for block in blocks for line in (*block.old, *block.new)}
