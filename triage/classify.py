"""Signal or noise by named rules. Each says in one sentence why; only what is certain is set aside: doubt
is signal.

The order is the order of asking; the first rule that answers decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from store.event import Event, Frame
from store.incident import Kind, Verdict
from triage import families
from triage.analyse import Analysis

THRESHOLD = 0.5  # below it: noise


@dataclass(frozen=True)
class Judged:
    """What a rule says when it answers: `score` is the weight of "matters", 0..1."""

    kind: Kind
    score: float
    because: str


Rule: TypeAlias = Callable[[Event, Analysis], "Judged | None"]


def client_disconnect(event: Event, facts: Analysis) -> Judged | None:
    """The client hung up."""
    if facts.disconnect:
        return Judged(Kind.CALLER, 0.03, "the client closed the connection before the answer was done")
    return None


def interrupt(event: Event, facts: Analysis) -> Judged | None:
    """Somebody or something stopped the program on purpose."""
    if not facts.interrupt or any(frame.function == "handle_abort" for frame in _frames(event)):
        return None
    if facts.type == "SystemExit" and facts.value not in ("", "0", "1", "2", "130", "143", "None"):
        return Judged(Kind.CALLER, 0.55, "the program ended itself with a message")
    return Judged(Kind.CALLER, 0.02, "the program was stopped on purpose (interrupt or exit)")


def broken_pipe(event: Event, facts: Analysis) -> Judged | None:
    """Whoever read our output stopped reading."""
    if facts.broken_pipe:
        return Judged(Kind.CALLER, 0.05, "the reader of the output (a pipe or a client) went away")
    return None


def third_party_script(event: Event, facts: Analysis) -> Judged | None:
    """A browser extension or somebody else's script."""
    if facts.third_party:
        return Judged(Kind.CALLER, 0.04, facts.third_party)
    return None


def scanner(event: Event, facts: Analysis) -> Judged | None:
    """A scanner asked for something that is not there."""
    if facts.scanner and _turned_down(facts):
        return Judged(Kind.CALLER, 0.02, f"a scanner asked for {(facts.path or '')[:80]} and was turned down")
    return None


def health_check(event: Event, facts: Analysis) -> Judged | None:
    """A probe was turned down."""
    if facts.health_check and _turned_down(facts):
        return Judged(Kind.CALLER, 0.05, "a health probe was turned down")
    return None


def cli_usage(event: Event, facts: Analysis) -> Judged | None:
    """A command was used wrongly."""
    if facts.cli_usage:
        return Judged(Kind.CALLER, 0.05, "the command line was used wrongly and the program said so")
    return None


def unreadable_request(event: Event, facts: Analysis) -> Judged | None:
    """Bytes that are no request."""
    if facts.unreadable:
        return Judged(
            Kind.CALLER, 0.05, "what the caller sent could not be read as a request, and was refused"
        )
    return None


def rejected_request(event: Event, facts: Analysis) -> Judged | None:
    """The server framework answered 4xx."""
    if facts.http_status is not None and 400 <= facts.http_status < 500:
        return Judged(Kind.CALLER, 0.05, f"the request was turned down with {facts.http_status} on purpose")
    return None


def rejected_input(event: Event, facts: Analysis) -> Judged | None:
    """A validation library turned input down."""
    if not facts.validation:
        return None
    raised = event.exception
    own = raised is not None and families.may_be_own_input(raised)
    if own and not (facts.foreign_input or facts.handled):
        return Judged(Kind.APP_BUG, 0.6, "own code built a model from values that do not fit it")
    return Judged(Kind.CALLER, 0.08, "validation turned the input down, as it should")


def infrastructure(event: Event, facts: Analysis) -> Judged | None:
    """Disk, memory, network or a database."""
    if facts.infrastructure:
        return Judged(
            Kind.INFRASTRUCTURE, 0.6, "the machine, the network or another service failed, not this code"
        )
    return None


def upstream_answer(event: Event, facts: Analysis) -> Judged | None:
    """Another service answered with an error."""
    status = facts.upstream_status
    if status is not None and (status >= 500 or status == 429):
        return Judged(Kind.DEPENDENCY, 0.6, f"another service answered {status}")
    return None


def configuration(event: Event, facts: Analysis) -> Judged | None:
    """Something is not set up."""
    if facts.configuration:
        return Judged(Kind.CONFIGURATION, 0.8, "a setting, an environment variable or a module is missing")
    return None


def argument_file(event: Event, facts: Analysis) -> Judged | None:
    """A file that the caller named is not there."""
    if facts.argument_file:
        return Judged(Kind.CALLER, 0.55, "the file that the command line names is not there or not readable")
    return None


def malformed_input(event: Event, facts: Analysis) -> Judged | None:
    """A file or job could not be parsed; in a request that is a bug (it should be a 4xx)."""
    if facts.malformed_input and not facts.is_http:
        return Judged(Kind.CALLER, 0.55, "the input is cut off or malformed")
    return None


def raised_on_purpose(event: Event, facts: Analysis) -> Judged | None:
    """Own code raised it knowingly and something caught it."""
    if facts.deliberate and facts.handled and facts.raised_in == "own":
        return Judged(Kind.APP_BUG, 0.6, "own code raised this on purpose and it was caught")
    return None


def crash(event: Event, facts: Analysis) -> Judged | None:
    """An exception that nobody meant."""
    if not facts.type:
        return None
    score = 0.95 if facts.own_frames and facts.programming else 0.85 if facts.own_frames else 0.7
    where = "own code" if facts.own_frames else "code that is not the team's"
    return Judged(Kind.APP_BUG, score, f"{facts.type} in {where}, and no rule explains it away")


def logged_message(event: Event, facts: Analysis) -> Judged | None:
    """A message without an exception."""
    return Judged(Kind.APP_BUG, 0.55, f"a logged message of level {facts.level}, without an exception")


RULES: tuple[Rule, ...] = (
    client_disconnect, interrupt, broken_pipe, third_party_script, scanner, health_check, cli_usage, rejected_request,
    unreadable_request, rejected_input,
    upstream_answer, infrastructure, configuration, argument_file, malformed_input, raised_on_purpose, crash,
    logged_message,
)  # fmt: skip


class Rules:
    """The built-in `Classifier`."""

    name = "rules@1"

    def classify(self, event: Event, analysis: Analysis) -> Verdict:
        """The verdict of the first rule that answers; its name and sentence are the reasons. Never raises."""
        for rule in RULES:
            judged = rule(event, analysis)
            if judged is not None:
                return Verdict(
                    kind=judged.kind,
                    signal=judged.score >= THRESHOLD,
                    score=judged.score,
                    threshold=THRESHOLD,
                    classifier=self.name,
                    reasons=(f"{rule.__name__}: {judged.because}",),
                )
        raise AssertionError("the last rule always answers")


def _turned_down(facts: Analysis) -> bool:
    """Whether the failure is an answer that was given on purpose, and not a crash."""
    return (facts.http_status is not None and facts.http_status < 500) or facts.validation


def _frames(event: Event) -> tuple[Frame, ...]:
    return event.exception.frames if event.exception else ()
