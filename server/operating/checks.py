"""The state of every part, and what to do where it is not well."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.util import find_spec

import httpx

from fixloop import Sandbox
from server import plugins
from server.config import SECRETS, SETTINGS, Config
from server.drafts.approvals import Discloses
from server.house import House
from server.moments import FIRST_PLAUSIBLE, ago, stamp
from server.notices.telling import targets
from server.operating.presence import crowd, servers
from store import accounts, following, notices, queries, tasks
from store.errors import NightdeskError, NotAllowed, Unavailable
from store.git import git, without_credentials
from store.tasks import TaskKind

_LEAST_FREE = 100 << 20  # bytes below which there is not enough room to work
_PATIENCE = 10  # seconds that somebody else may take to answer
_MODELS = "https://api.anthropic.com"
_PATIENT = 3  # failures in a row after which something is wrong for good
_SOON = timedelta(days=7)  # a token that ends within it is told of


class State(StrEnum):
    """How a part is. `missing` is a part that one can do without, `setting` a value and its source."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    SETTING = "setting"


@dataclass(frozen=True)
class Check:
    """One part: how it is, and in words why, or what to do."""

    part: str
    state: State
    said: str


def examine(house: House) -> Iterator[Check]:
    """Look at every part. A part that fails is a line in the answer, never an exception."""
    yield _database(house)
    yield disk(house.config)
    yield from around(house.config, house.sandbox)
    yield from _repositories(house)
    yield from _forges(house)
    yield _tokens(house)
    yield from _drafts(house)
    yield _notices(house)
    yield _clock(house)
    yield _last_event(house)


def closed(config: Config, error: NightdeskError) -> Iterator[Check]:
    """Look at what can be seen of an installation that does not open, the reason first."""
    yield Check("database", State.BROKEN, str(error))
    yield disk(config)
    yield from around(config, plugins.best_sandbox())


def around(config: Config, sandbox: Sandbox) -> Iterator[Check]:
    """What an installation stands on: programs, other servers, the model."""
    yield from _sandbox(sandbox)
    yield _git()
    yield _uv()
    yield _servers(config)
    yield _model(os.environ)
    yield from _plugins()


def configuration(config: Config) -> list[Check]:
    """Every setting with its value and where it came from."""
    values = {"data": config.data, **{name: getattr(config, name) for name in SETTINGS}}
    values["database"] = config.database_shown
    return [
        Check(name, State.SETTING, f"{_shown(name, value)} ({config.source(name)})")
        for name, value in values.items()
    ]


def _shown(name: str, value: object) -> object:
    """A value for people; of those that hold secrets only whether there is one."""
    if value in (None, "", (), {}):
        return "unset"
    return "given, not shown" if name in SECRETS else value


def _database(house: House) -> Check:
    try:
        counts = queries.lane_counts(house.database)
    except NightdeskError as error:
        return Check("database", State.BROKEN, str(error))
    said = f"{sum(counts.values())} incidents in {house.config.database_shown}."
    return Check("database", State.OK, said)


def _drafts(house: House) -> Iterator[Check]:
    """The drafts that could not be looked at."""
    for one in following.troubled(house.database):
        said = f"{one.attempt_id} in {one.repo} could not be looked at {one.failures} times: {one.said}"
        yield Check("drafts", State.BROKEN if one.failures > _PATIENT else State.MISSING, said)


def _notices(house: House) -> Check:
    """Who is told, and what did not get there."""
    every = {target.id: target.shown for target in targets(house.config)}
    if not every:
        return Check(
            "notices", State.MISSING, "Nobody is told: the settings `notify` and `webhooks` name addresses."
        )
    stuck = [
        one
        for one in notices.deliveries(house.database)
        if one.said and one.sent_at is None and one.tries > 1
    ]
    if stuck:
        said = f"{len(stuck)} notices did not arrive, the last one at {every.get(stuck[0].target, 'a former target')}: "
        return Check(
            "notices", State.BROKEN, f"{said}{stuck[0].said}; `nightdesk notify test` tries each target."
        )
    return Check("notices", State.OK, f"{', '.join(every.values())}.")


def disk(config: Config) -> Check:
    """Room below the data folder, or below the folder in which it is to be made."""
    place = next((each for each in (config.data, *config.data.parents) if each.is_dir()), config.data)
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check(
            "disk", State.BROKEN, f"{place} cannot be read: {error.strerror}; name another with --data."
        )
    if free < _LEAST_FREE:
        said = f"Only {free >> 20} MiB are free below {place}; make room, or move the folder and name it with --data."
        return Check("disk", State.BROKEN, said)
    return Check("disk", State.OK, f"{free >> 20} MiB free below {place}.")


def _sandbox(sandbox: Sandbox) -> Iterator[Check]:
    tested = sandbox.self_test()
    yield Check("sandbox", State.OK if tested.ok else State.MISSING, tested.said)
    for gap in tested.open:
        yield Check("sandbox, open", State.MISSING, gap)


def _servers(config: Config) -> Check:
    running = servers(config.data)
    if len(running) > 1:
        return Check("server", State.BROKEN, crowd(running))
    if not running:
        return Check("server", State.MISSING, "None runs on this folder: `nightdesk serve` starts one.")
    return Check("server", State.OK, f"One runs at {running[0]}.")


def _model(environ: Mapping[str, str]) -> Check:
    """The model is asked only where a key is given: for the list of models, which costs nothing."""
    key, address = environ.get("ANTHROPIC_API_KEY"), environ.get("ANTHROPIC_BASE_URL") or _MODELS
    if not key:
        return Check("model", State.MISSING, "No key in ANTHROPIC_API_KEY; everything works without one.")
    shown = without_credentials(address)
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    try:
        answer = httpx.get(f"{address.rstrip('/')}/v1/models", headers=headers, timeout=_PATIENCE)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        said = f"{shown} does not answer ({type(error).__name__}); look at the network and at ANTHROPIC_BASE_URL."
        return Check("model", State.BROKEN, said)
    if answer.status_code in (401, 403):
        return Check("model", State.BROKEN, f"{shown} does not take the key; set a valid ANTHROPIC_API_KEY.")
    if answer.is_error:
        said = f"{shown} answers with {answer.status_code}; try again later, or look at ANTHROPIC_BASE_URL."
        return Check("model", State.BROKEN, said)
    return Check("model", State.OK, f"{shown} answers.")


def _plugins() -> Iterator[Check]:
    """Only what is installed is said: to have none is the rule."""
    for plugin in plugins.found():
        state = State.BROKEN if plugin.make is None else State.OK
        said = plugin.said or f"From {plugin.distribution}."
        yield Check(f"plug-in {plugin.name} ({plugin.group})", state, said)


def _git() -> Check:
    said = _version("git", "--version")
    return (
        Check("git", State.OK, said)
        if said
        else Check("git", State.BROKEN, "git is not installed; install it.")
    )


def _uv() -> Check:
    """uv builds environments; as a package of ours it is there even when it is not on PATH."""
    said = _version("uv", "--version") or ("uv, as a Python package" if find_spec("uv") else "")
    return (
        Check("uv", State.OK, said)
        if said
        else Check("uv", State.MISSING, "uv is not installed: `pip install uv`.")
    )


def _version(*argv: str) -> str:
    """The first line that a program prints of itself; empty where it is absent or does not answer in 10
    seconds."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else ""


def _repositories(house: House) -> Iterator[Check]:
    rows = queries.repositories(house.database)
    if not rows:
        yield Check(
            "repositories",
            State.MISSING,
            "None yet: `nightdesk repo add NAME PATH`; without one no cause is found.",
        )
    for row in rows:
        part = f"repository {row.name}"
        try:
            mirror = house.mirrors.get(row.name)
            house.part(row, mirror)
            head = mirror.head()[:10]
        except NightdeskError as error:
            yield Check(
                part, State.BROKEN, f"{error} Mirror it with `nightdesk repo add {row.name} PATH|URL`."
            )
            continue
        try:
            git(None, "ls-remote", "--quiet", "--", row.url, "HEAD", seconds=_PATIENCE, remote=True)
            yield Check(part, State.OK, f"{row.project}, at {head}, from {without_credentials(row.url)}")
        except NightdeskError as error:
            why = "its origin does not answer"
            fix = "Correct its address or the access to it."
            if isinstance(error, NotAllowed):
                why, fix = "its origin refuses the credentials", "Renew the token, and give it to git again."
            yield Check(part, State.BROKEN, f"The mirror stands at {head}, but {why}: {error} {fix}")


def _forges(house: House) -> Iterator[Check]:
    """Whether drafts can be opened where the repositories come from, and which of them wait."""
    for row in queries.repositories(house.database):
        part = f"drafts of {row.name}"
        try:
            forge = plugins.forge(row.url, house.config.forges)
            public = isinstance(forge, Discloses) and forge.is_public()
        except NightdeskError as error:
            retry = isinstance(error, Unavailable) and error.retry
            yield Check(
                part, State.BROKEN if retry or isinstance(error, NotAllowed) else State.MISSING, str(error)
            )
            continue
        open_to_all = "; anybody may read it, so a person decides about each" if public else ""
        yield Check(part, State.OK, f"Opened by {forge.name}{open_to_all}.")
    for task in tasks.waiting(house.database, TaskKind.DRAFT):
        said = (
            "Its forge did not answer; it is opened as soon as it does, as long as a server or a worker runs."
        )
        yield Check(f"draft of {task.incident_id}", State.MISSING, said)


def _tokens(house: House) -> Check:
    """A token that has ended is the quiet kind of failure: whoever uses it is told so only there, not here."""
    now = datetime.now(UTC)
    live = [token for token in accounts.tokens(house.database) if token.revoked_at is None]
    ended = [token for token in live if token.expires_at <= now]
    ending = [token for token in live if now < token.expires_at <= now + _SOON]
    for state, chosen, word in ((State.BROKEN, ended, "ended"), (State.MISSING, ending, "ends")):
        if chosen:
            names = "; ".join(
                f"{token.name} ({token.id}) {word} {stamp(token.expires_at)}" for token in chosen[:5]
            )
            fix = f"`nightdesk token create --name {chosen[0].name}` and hand it to whoever uses it"
            after = f", then `nightdesk token revoke {chosen[0].id}`" if word == "ended" else ""
            return Check("tokens", state, f"{names}: {fix}{after}.")
    return Check("tokens", State.OK, f"{len(live)} in use." if live else "None made.")


def _clock(house: House) -> Check:
    """The clock is plausible and runs with the one that the events carry; signatures and order depend on
    it."""
    now = datetime.fromtimestamp(time.time(), UTC)
    newest = [incident.last_seen for incident in queries.incidents(house.database, limit=200)]
    ahead = [seen for seen in newest if (seen - now).total_seconds() > 300]
    if now < FIRST_PLAUSIBLE or ahead:
        why = f"an event is dated {stamp(max(ahead))}" if ahead else "it was never set"
        return Check(
            "clock", State.MISSING, f"{stamp(now)}, but {why}; set up time synchronisation on both sides."
        )
    return Check("clock", State.OK, stamp(now))


def _last_event(house: House) -> Check:
    seen = [incident.last_seen for incident in queries.incidents(house.database)]
    if not seen:
        return Check(
            "last event", State.MISSING, "None yet: `nightdesk project list` prints the DSN for a sender."
        )
    return Check("last event", State.OK, f"{ago(max(seen))}, {stamp(max(seen))}")
