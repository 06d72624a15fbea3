"""The head of an answer about one incident: what broke, who is touched, why, what was done, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.drafts.watching import plainly
from server.incidents.quoting import Quoter
from server.incidents.rollback import Rollback
from server.incidents.view import IncidentView
from store.incident import Incident, Status
from store.repair import Attempt, CandidateChange, ChangeVerdict, Ended, Oracle, Patch, Reproducer, Validation

_COMMAND = re.compile(r"[\w./:=\[\]-]+(?: [\w./:=\[\]-]+){0,11}")
_SETTLED = (ChangeVerdict.PROVEN, ChangeVerdict.SUPPORTED, ChangeVerdict.INTRODUCED_WITH_FEATURE)
ORACLES = {
    Oracle.PARENT_VALUE: "what the code gave before the change",
    Oracle.SIBLING_CONTRACT: "what the same code promises for its neighbours",
    Oracle.INVARIANT: "a property that is stated",
    Oracle.NO_CRASH: "only that the failure is gone, which is weak",
}
_ENDINGS = {
    Ended.NOT_REPRODUCED: "not reproduced", Ended.UNDETERMINED: "undetermined",
    Ended.NOT_RUNNABLE: "undetermined: the application could not be run here",
    Ended.OVER_BUDGET: "undetermined: the budget was used up",
    Ended.CANCELLED: "undetermined: the repair was stopped",
}  # fmt: skip
_WORDS = {
    ChangeVerdict.PROVEN: "proven by execution",
    ChangeVerdict.SUPPORTED: "supported by execution, not proven",
    ChangeVerdict.INTRODUCED_WITH_FEATURE: "introduced together with the feature itself",
}  # fmt: skip


def conclusion(view: IncidentView, quoter: Quoter) -> str:
    """The lines that a reader in a hurry needs, each bounded."""
    incident = view.incident
    title = (
        f"# {incident.id}"
        if view.kept
        else "# A stack trace that no incident has, triaged on the spot, not kept"
    )
    return "\n".join(
        [title, quoter.legend, "", *(f"- **{name}:** {text}" for name, text in _lines(view, quoter))]
    )


def _lines(view: IncidentView, quoter: Quoter) -> Iterator[tuple[str, str]]:
    incident, attempt = view.incident, view.attempt
    yield "What broke", _broke(incident, quoter)
    if view.kept:
        yield "Who is touched", _touched(incident, quoter)
        yield (
            "Since",
            f"{incident.first_seen:%Y-%m-%d %H:%M} UTC, last {incident.last_seen:%Y-%m-%d %H:%M} UTC",
        )
    yield "State", _state(incident, quoter)
    if view.proposals:
        yield "Waiting for a person", _proposed(view, quoter)
    if view.earlier:
        yield "Earlier investigations", _earlier(view)
    yield "Why", _why(view, quoter)
    if attempt and (change := settled(attempt)):
        yield "Change", change_words(change, quoter)
    if view.rollback:
        yield "Roll-back", rollback_words(view.rollback, quoter)
    if attempt and attempt.reproducer:
        yield "Test", reproducer_words(attempt.reproducer, quoter)
    if attempt and attempt.patch:
        yield "Fix", fix_words(attempt.patch, attempt.validation, quoter)
    if view.submissions:
        yield "Handed in", _handed_in(view, quoter)
    if attempt and attempt.drafts:
        drafts = [
            f"{quoter.name(d.branch)} in {quoter.name(d.repo)} ({quoter.name(d.state)})"
            for d in attempt.drafts[:3]
        ]
        yield "Draft", "; ".join(drafts)
    if view.watches:
        yield "Since the merge", plainly(view.watches[-1])
    if view.checkout:
        yield "Your checkout", view.checkout
    yield "Next", next_step(view)


def _handed_in(view: IncidentView, quoter: Quoter) -> str:
    """The patch that was handed in last, and how to read of all."""
    last = view.submissions[-1]
    if last.validation is not None:
        told = judged_words(last.validation, quoter)
    else:
        told = quoter.inline(last.said, 240, source="run") if last.said else "the judge has it"
    return f'{last.id}: {told}; get_evidence("{view.incident.id}", "submissions")'


def _broke(incident: Incident, quoter: Quoter) -> str:
    broke = quoter.inline(incident.title, 200)
    if place := incident.location:
        line = f" line {place.line}" if place.line else ""
        where = f" in {quoter.name(place.function)}" if place.function else ""
        commit = f" at commit {quoter.name(place.commit[:12])}" if place.commit else ""
        sure = f"{place.confidence:.0%} sure"
        return f"{broke}, {quoter.name(f'{place.repo}/{place.path}')}{line}{where}{commit} ({sure})"
    return f"{broke}, {quoter.name(incident.culprit)}; no repository is known to hold this code"


def _touched(incident: Incident, quoter: Quoter) -> str:
    parts = [f"{_count(incident.event_count, 'event')}, {_count(incident.user_count, 'known user')}"]
    for word, names in (("environments", incident.environments), ("releases", incident.releases)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            parts.append(f"{word} {', '.join(quoter.name(name, 60) for name in names[-3:])}{more}")
    return "; ".join(parts)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _state(incident: Incident, quoter: Quoter) -> str:
    said = f"{incident.status.value}, lane {incident.lane.value}"
    if incident.verdict:
        side = "signal" if incident.verdict.signal else "noise"
        kind = incident.verdict.kind.value.replace("_", " ")
        reasons = quoter.inline("; ".join(incident.verdict.reasons), 200, source="run")
        said += f"; judged {side}, {kind} (score {incident.verdict.score:.2f}): {reasons}"
    for word, name in (("owner", incident.owner), ("claimed by", incident.claimed_by)):
        said += f"; {word} {quoter.name(name, 60, source='person')}" if name else ""
    return said


def _proposed(view: IncidentView, quoter: Quoter) -> str:
    """What assistants said that no person has confirmed yet."""
    said = [
        f"{proposal.label.replace('_', ' ')}, said by {quoter.name(proposal.said_by, 60, source='person')}"
        for proposal in view.proposals[-3:]
    ]
    return "; ".join(said) + f": `nightdesk confirm {view.incident.id}`, or its page, makes it a label"


def _earlier(view: IncidentView) -> str:
    """The repairs before the one that is told of, and how to read them."""
    told = [f"{each.id} {_ended(each)}" for each in view.earlier[-3:]]
    more = f" and {len(view.earlier) - 3} before" if len(view.earlier) > 3 else ""
    return f'{", ".join(told)}{more}: get_evidence("{view.incident.id}", "investigations")'


def _ended(attempt: Attempt) -> str:
    return (
        f"({attempt.started_at:%Y-%m-%d}: {attempt.ended.value.replace('_', ' ')})"
        if attempt.ended
        else "under way"
    )


def settled(attempt: Attempt) -> CandidateChange | None:
    """The change that the runs point at, if any."""
    return next((c for verdict in _SETTLED for c in attempt.changes if c.verdict == verdict), None)


def _why(view: IncidentView, quoter: Quoter) -> str:
    attempt = view.attempt
    if attempt is None:
        held = view.triage.facts.get("no_repair") if view.triage else None
        return f"undetermined: no repair was tried; {held}" if held else "undetermined: no repair was tried"
    if attempt.ended is None:
        return f"undetermined: run {attempt.id} is under way"
    supported = [h for h in attempt.hypotheses if h.status == "supported"]
    best = max(supported, key=lambda hypothesis: hypothesis.score, default=None)
    if change := settled(attempt):
        verdict = "proven" if change.verdict is ChangeVerdict.PROVEN else "supported"
        return f"{verdict}: {quoter.inline(best.statement if best else change.said, 300, source='run')}"
    if best:
        return f"supported: {quoter.inline(best.statement, 300, source='run')}"
    ending = _ENDINGS.get(attempt.ended, "undetermined")
    said = f"{ending}: {quoter.inline(attempt.said, 240, source='run')}" if attempt.said else ending
    open_ones = [one for one in attempt.hypotheses if one.status == "undetermined"]
    likely = max(open_ones, key=lambda one: one.score, default=None)
    if likely is None:
        return said
    lacks = f"; to settle it: {likely.missing[0]}" if likely.missing else ""
    return f"{said}. Perhaps {quoter.inline(f'{likely.statement}{lacks}', 300, source='run')}"


def change_words(change: CandidateChange, quoter: Quoter) -> str:
    """A change in a sentence: commit, title, author, day, what the runs showed."""
    judged = _WORDS.get(change.verdict, change.verdict.value.replace("_", " "))
    by = f"{quoter.name(change.author, 60, source='repository')}, {change.authored_at:%Y-%m-%d}"
    said = f"; {quoter.inline(change.said, 200, source='run')}" if change.said else ""
    where = f"{quoter.name(change.commit[:12])} in {quoter.name(change.repo)}"
    return f"{where}, {quoter.inline(change.title, 100, source='repository')} by {by}: {judged}{said}"


def rollback_words(rollback: Rollback, quoter: Quoter) -> str:
    """The advice in a sentence; the titles of what else would go are quoted."""
    others = [
        f"{quoter.name(r.commit[:10])} {quoter.inline(r.title, 80, source='repository')}"
        for r in rollback.also_removes[:3]
    ]
    count = len(rollback.also_removes) + rollback.left_out
    more = f" and {count - 3} more (`nightdesk show` names them)" if count > 3 else ""
    also = (
        f"going back also removes {'; '.join(others)}{more}" if others else "going back removes nothing else"
    )
    return f"release {quoter.name(rollback.to_release, 60)} does not have it; {also}"


def reproducer_words(test: Reproducer, quoter: Quoter) -> str:
    """A reproducer in a sentence: where it goes, how it is run, how often it fails, how it knows what is
    right."""
    runs = f"`{test.command}`" if is_plain_command(test.command) else "with pytest on its path"
    same = (
        "for the same reason as in production"
        if test.same_failure
        else "for another reason than in production"
    )
    return (
        f"{quoter.name(test.test_path)} in {quoter.name(test.repo)}, run {runs}; "
        f"fails {test.failures} of {test.runs} times, {same}; "
        f"oracle {test.oracle.value} ({ORACLES[test.oracle]}); source by get_reproducer"
    )


def fix_words(patch: Patch, validation: Validation | None, quoter: Quoter) -> str:
    """A patch and the judge's word in a sentence."""
    files = ", ".join(quoter.name(name) for name in patch.files[:4])
    more = f" and {len(patch.files) - 4} more" if len(patch.files) > 4 else ""
    kind = quoter.name(patch.by if patch.upgrade else patch.kind)
    return f"a {kind} patch of {files}{more}: " + (
        judged_words(validation, quoter) if validation else "not judged"
    )


def judged_words(validation: Validation, quoter: Quoter) -> str:
    """The judge's verdict with the counts that carry it."""
    counts = [
        f"fails before {validation.fails_before[0]} of {validation.fails_before[1]}",
        f"passes after {validation.passes_after[0]} of {validation.passes_after[1]}",
        f"necessary hunks {validation.hunks_necessary[0]} of {validation.hunks_necessary[1]}",
        f"mutants killed {validation.mutants[0]} of {validation.mutants[1]}",
    ]
    rule = f", rule {quoter.name(validation.rule)}" if validation.rule else ""
    said = f"; {quoter.inline(validation.said, 240, source='run')}" if validation.said else ""
    return f"{validation.verdict.value}{rule} ({'; '.join(counts)}){said}"


def next_step(view: IncidentView) -> str:
    """What a reader should do now; names our own tools only."""
    incident, attempt = view.incident, view.attempt
    if not view.kept:
        return 'set_state(the same trace, "kept") makes it an incident, where the user wants that'
    if view.running:
        so_far = f"run {view.running.id} is under way ({len(view.running.steps)} steps so far)"
        return f'{so_far}: get_fix("{incident.id}") in a minute'
    if incident.status in {Status.RESOLVED, Status.MUTED}:
        return "nothing, unless it comes back"
    if attempt is None:
        return f'start_repair("{incident.id}")'
    if attempt.drafts:
        return "a person reviews the draft"
    if attempt.proof:
        return f'read get_fix("{incident.id}"), then open_draft("{incident.id}")'
    if attempt.reproducer:
        return f'write a patch, then submit_patch("{incident.id}", diff): it is judged by the test above'
    steps = f'get_evidence("{incident.id}", "steps")'
    return f'look at {steps} for how far the repair came, then at get_causes("{incident.id}")'


def is_plain_command(command: str) -> bool:
    """Whether a command may be shown as ours: a few plain words, nothing that a shell would act on."""
    return _COMMAND.fullmatch(command) is not None and len(command) <= 200
