"""Telling people and programs: which notice goes where and when, and what it says.

What is said is ours: names of the product, ids and counts, and the incident's title, which is redacted like all that is
kept, bounded, and without anything that a chat would act on. Where an incident is noise or muted by the time that its
notice would go out, it does not. Blocking; the worker calls it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from server.config import Config
from server.house import House
from server.incidents.quoting import inert, visible
from server.notices import webhooks
from server.quiet import quiet_of
from store import notices, queries
from store.errors import NightdeskError, Unavailable
from store.incident import Incident, Lane, Status
from store.notices import Delivery, Notice, Telling

log = logging.getLogger("nightdesk.telling")

SETTLE = timedelta(seconds=20)  # after a proof: its draft opens meanwhile, and is told with it
FIRST, LONGEST = timedelta(seconds=30), timedelta(hours=2)  # waits after a failure: doubled up to the longest
TRIES = 12  # about a day of them
LISTED = 20  # notices that one message lists

Send = Callable[[str, str, str], None]  # address, title, text; raises Unavailable

_HEADS = {
    Telling.FOCUS: "needs you", Telling.PROVEN: "has a proven fix", Telling.RECURRENCE: "is back",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Somewhere to send to. `id` stands for the address, which may hold a secret; `shown` is what people are told."""

    id: str
    address: str
    program: bool  # gets JSON, at once; else it is read by people

    @property
    def shown(self) -> str:
        """The kind of it and, of a webhook, the host."""
        kind = self.address.partition(":")[0]
        return (
            f"{kind}://{urlsplit(self.address).hostname}/… ({self.id})"
            if self.program
            else f"{kind}:// ({self.id})"
        )


def targets(config: Config) -> list[Target]:
    """Where the settings say that notices go."""
    people = [Target(_digest(address), address, False) for address in config.notify]
    return people + [Target(_digest(address), address, True) for address in config.webhooks]


def tell_round(house: House, now: datetime, send: Send | None = None) -> int:
    """Send what is due; how many notices arrived. `send` tells people (apprise's, where there is anybody to tell)."""
    every = targets(house.config)
    _spread(house, every, now)
    return sum(_deliver(house, target, now, send) for target in every)


def message(house: House, told: Sequence[tuple[Notice, Incident]]) -> tuple[str, str]:
    """Title and text for people: one notice, or several in one."""
    lines = [_line(house, notice, incident) for notice, incident in told[:LISTED]]
    if len(told) > LISTED:
        lines.append(f"… and {len(told) - LISTED} more: {house.config.address}/")
    if len(told) == 1:
        notice, incident = told[0]
        return f"{incident.id} {_HEADS[notice.kind]}", lines[0]
    return f"{len(told)} incidents need a look", "\n\n".join(lines)


def plain_line(text: str, most: int = 120) -> str:
    """One line of hostile text that no chat or mail acts on: no mentions, links, markup or hidden characters."""
    line = inert(visible(" ".join(text.split())))[:most]
    return re.sub(r"[@<>\[\]`*_~|#]|://|www\.", "·", line)


def wait_after(tries: int) -> timedelta:
    """Until a delivery that failed is tried again."""
    doubled: timedelta = FIRST * 2 ** min(tries - 1, 20)
    return min(doubled, LONGEST)


def _spread(house: House, every: Sequence[Target], now: datetime) -> None:
    """Decide to whom new notices go, and from when on."""
    config = house.config
    quiet = quiet_of(config.quiet_hours)
    for notice in notices.unspread(house.database):
        wanted = notice.kind.value in config.notify_about and now - notice.at < notices.STALE
        settled = now + SETTLE if notice.kind is Telling.PROVEN else now
        calm = (quiet.until(settled) if quiet else None) or settled + timedelta(minutes=config.digest_minutes)
        starts = {target.id: settled if target.program else calm for target in every} if wanted else {}
        notices.spread(house.database, notice, starts, now)


def _deliver(house: House, target: Target, now: datetime, send: Send | None) -> int:
    if not notices.due(house.database, target.id, now):
        return 0
    taken = notices.claim(house.database, target.id, now)
    told, moot = [], []
    for delivery in taken:
        incident = _worth_telling(house, delivery.notice)
        if incident is None:
            moot.append(delivery)
        else:
            told.append((delivery, incident))
    notices.dropped(house.database, moot, "it is noise, muted or settled by now")
    groups = [[each] for each in told] if target.program else [told] if told else []
    return sum(_sent(house, target, group, now, send) for group in groups)


def _sent(
    house: House, target: Target, group: Sequence[tuple[Delivery, Incident]], now: datetime, send: Send | None
) -> int:
    deliveries = [delivery for delivery, _ in group]
    try:
        if target.program:
            one, about = group[0]
            webhooks.post(house, target.address, one.notice, about, now)
        elif send is None:
            raise Unavailable("nobody here can send to people")
        else:
            send(target.address, *message(house, [(one.notice, about) for one, about in group]))
    except NightdeskError as problem:
        log.warning("%s could not be told: %s", target.shown, problem)
        _again(house, deliveries, now, str(problem))
        return 0
    notices.arrived(house.database, deliveries, now)
    return len(deliveries)


def _again(house: House, deliveries: Sequence[Delivery], now: datetime, why: str) -> None:
    for one in deliveries:
        if one.tries >= TRIES:
            notices.dropped(house.database, [one], f"given up after {one.tries} tries: {why}")
        else:
            notices.later(house.database, [one], now + wait_after(one.tries), why)


def _worth_telling(house: House, notice: Notice) -> Incident | None:
    """The incident as it stands, unless it is noise, muted, or resolved before anybody was told."""
    try:
        incident = queries.incident(house.database, notice.incident_id)
    except NightdeskError:
        return None
    if incident.lane is Lane.NOISE or incident.status in (Status.MUTED, Status.RESOLVED):
        return None
    return incident


def _line(house: House, notice: Notice, incident: Incident) -> str:
    place = incident.location
    where = f" at {plain_line(place.path)}:{place.line}" if place else ""
    facts = f"{incident.event_count} events, {incident.user_count} users, project {incident.project}"
    more = f"\n{_more(house, notice)}" if notice.kind is not Telling.FOCUS else ""
    head = f"{incident.id} {_HEADS[notice.kind]}: {plain_line(incident.title)}{where}"
    return f"{head}\n{facts}{more}\n{house.config.address}/incidents/{incident.id}"


def _more(house: House, notice: Notice) -> str:
    if notice.kind is Telling.RECURRENCE:
        return plain_line(notice.said, 300)
    attempt = queries.latest_attempt(house.database, notice.incident_id)
    opened = [draft for draft in attempt.drafts if draft.state == "open" and draft.url] if attempt else []
    return f"Draft: {opened[0].url}" if opened else "Its draft waits for a person."


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:12]
