"""How an incident runs: in episodes with pauses between them, and whom it reaches now that it did not reach before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

QUIET = timedelta(minutes=30)  # a silence that ends an episode
FLAPS_FROM = 3  # episodes
LATELY = timedelta(hours=1)
MORE_USERS = 5  # who are new within the last hour, and at least as many as before it


@dataclass(frozen=True)
class Seen:
    """One event, as far as it tells who is reached."""

    at: datetime
    user: str | None = None
    environment: str | None = None
    release: str | None = None
    endpoint: str | None = None
    service: str | None = None
    over: datetime | None = None  # when its sender said that it was over


@dataclass(frozen=True)
class Episode:
    """A run of events without a longer silence, or until its sender said that it was over."""

    start: datetime
    end: datetime
    count: int
    over: bool = False

    @property
    def lasted(self) -> timedelta:
        """From its first event to its last."""
        return self.end - self.start


def episodes(seen: Sequence[Seen], quiet: timedelta = QUIET) -> tuple[Episode, ...]:
    """The episodes, oldest first."""
    found: list[Episode] = []
    for one in sorted(seen, key=lambda one: one.at):
        ended, end = one.over is not None, max(one.at, one.over or one.at)
        last = found[-1] if found else None
        if last is not None and (one.at <= last.end if last.over else one.at - last.end < quiet):
            found[-1] = Episode(last.start, max(last.end, end), last.count + 1, ended or last.over)
        else:
            found.append(Episode(one.at, end, 1, ended))
    return tuple(found)


def flapping(found: Sequence[Episode]) -> str | None:
    """In words, where it comes and goes; None where it does not."""
    if len(found) < FLAPS_FROM:
        return None
    lasted = [episode.lasted for episode in found]
    middle = timedelta(seconds=median(span.total_seconds() for span in lasted))
    return (
        f"it comes and goes: {len(found)} episodes, from {span_words(min(lasted))} to {span_words(max(lasted))} "
        f"(half of them up to {span_words(middle)})"
    )


@dataclass(frozen=True)
class Reached:
    """Somebody or something that an incident reaches lately. `kind` is in our words, `value` as the events say."""

    kind: str
    value: str | None = None


def spreading(seen: Sequence[Seen]) -> tuple[Reached, ...]:
    """Whom it reaches within the last hour of its events and had not reached before: users where they doubled, and each
    new environment, release, endpoint or service. Nothing for an incident that is younger than that hour."""
    if not seen:
        return ()
    newest = max(one.at for one in seen)
    before = [one for one in seen if one.at < newest - LATELY]
    lately = [one for one in seen if one.at >= newest - LATELY]
    if not before:
        return ()
    fresh = _new(before, lately, lambda one: one.user)
    said = []
    if len(fresh) >= MORE_USERS and len(fresh) >= len({one.user for one in before if one.user}):
        said.append(Reached(f"{len(fresh)} more users"))
    for word, of in _REACHED:
        known = {of(one) for one in before}
        if known - {None}:
            said += [Reached(f"another {word}", value) for value in _new(before, lately, of)[:3]]
    return tuple(said)


_REACHED: tuple[tuple[str, Callable[[Seen], str | None]], ...] = (
    ("environment", lambda one: one.environment),
    ("release", lambda one: one.release),
    ("endpoint", lambda one: one.endpoint),
    ("service", lambda one: one.service),
)


def _new(before: Sequence[Seen], lately: Sequence[Seen], of: Callable[[Seen], str | None]) -> list[str]:
    known = {of(one) for one in before}
    return sorted({value for one in lately if (value := of(one)) and value not in known})


def span_words(span: timedelta) -> str:
    """`40 s`, `12 min`, `3 h`, `2 days`."""
    seconds = max(span.total_seconds(), 0.0)
    for size, word in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (size < 86_400 and seconds >= size):
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"
