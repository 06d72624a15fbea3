"""Is there something that can be acted on in our code? A gate in words, and a weight for the order."""

from __future__ import annotations

from dataclasses import dataclass

from store.incident import Kind, Verdict
from triage.analyse import Analysis
from triage.locate import DOUBT, Located


@dataclass(frozen=True)
class Fixability:
    """`weight` is 0 (nothing to act on) to 1 (a line of ours that failed by mistake)."""

    weight: float
    why: str


def fixability(verdict: Verdict, facts: Analysis, located: Located) -> Fixability:
    """What can be done about a failure in the team's own code."""
    if not verdict.signal:
        return Fixability(0.0, "nothing failed that code should prevent")
    if verdict.kind in (Kind.INFRASTRUCTURE, Kind.DEPENDENCY):
        return Fixability(
            0.2, "only how our code takes it can be changed: time limits, retries, what is said"
        )
    if verdict.kind is Kind.CONFIGURATION:
        return Fixability(0.6, "a setting or a package has to be put right")
    if located.best is not None:
        sure = located.best.confidence > DOUBT
        if facts.deliberate and facts.raised_in == "own":
            return Fixability(0.6, "our code raised it on purpose: whether it should is to be decided")
        return Fixability(
            1.0 if sure else 0.7, "a line of ours is known" if sure else "several lines of ours fit"
        )
    if facts.own_frames:
        return Fixability(0.5, "own code is on the stack, and none of it was found in a connected repository")
    return Fixability(0.2, "no code of ours is on the stack")


def no_repair(verdict: Verdict, located: Located) -> str | None:
    """Why a repair is not begun by itself: there is nothing in our code that it could begin at. None where there is. A
    person may ask for one all the same."""
    if not verdict.signal:
        return "it was set aside"
    if verdict.kind in (Kind.INFRASTRUCTURE, Kind.DEPENDENCY):
        return "the machine, the network or another service failed, and no code of ours is to blame"
    if located.best is None:
        return "no line of ours is known that it happened in"
    return None
