"""The one place where the parts are put together. Blocking: the doors call it in threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from time import perf_counter

from fixloop import Sandbox
from server import plugins
from server.config import Config
from server.intake.recording import Intake
from server.intake.redaction import Redaction
from server.intake.same_key import settle
from server.intake.spikes import spike
from server.knowing import alerts
from server.knowing.bundles import Bundles
from server.knowing.guidance import guidance
from server.knowing.locks import LOCKS
from server.knowing.owners import Suggestion, suggested
from server.knowing.releases import Place, release_of, standings
from server.knowing.repository_part import FILE, RepositoryPart, detect, parse, validate
from server.knowing.sources import ProjectSources
from server.knowing.surroundings import around
from server.knowing.teams import past, take_in, teams
from server.rush import Rush
from store import journal, queries, request_lines, sketches, tasks
from store.artifacts import Artifacts
from store.database import Database
from store.errors import NightdeskError, NotFound, Unavailable
from store.event import Event, Over, Served
from store.incident import Incident, Status, Step, Triage
from store.journal import Recorded
from store.mirrors import Mirror, Mirrors
from store.postgres import Postgres
from store.project import Project, RepositoryConfig
from store.rates import count_served, forget
from store.recording import SHOWN_VALUES
from store.tasks import Task, TaskKind
from triage import Classifier
from triage.analyse import History
from triage.classify import Rules
from triage.formats.sentry_glimpse import Rages
from triage.learned import Learned
from triage.outline import Glimpse
from triage.pipeline import triage

log = logging.getLogger("nightdesk.house")

Connected = list[tuple[Place, RepositoryPart]]  # the repositories of a project that can be read
_TIDY = timedelta(hours=1)
_NEW = timedelta(days=1)  # how long an incident counts as new


class House:
    """Everything that one data folder holds, opened. Use `House.open`.

    The repair is not in here: it takes a house and drives `fixloop` with its parts.
    """

    def __init__(self, config: Config, database: Database, redaction: Redaction) -> None:
        self.config = config
        self.database = database
        shared = database if isinstance(database.backend, Postgres) else None
        self.artifacts = Artifacts(config.data / "artifacts", shared)
        self.mirrors = Mirrors(config.data / "mirrors")
        self.classifier: Classifier = _classifier(config, database)
        self.only: frozenset[str] | None = None
        self.redaction = redaction
        self.rush = Rush()
        self.bundles = Bundles(database, self.artifacts, self.sources_for)
        self._tidied = datetime.min.replace(tzinfo=UTC)
        self._intake = Intake(database, self.artifacts, redaction, self.bundles.restored)

    @classmethod
    @contextmanager
    def open(cls, config: Config) -> Iterator[House]:
        """Open the data folder, making it where it is absent. Raises Unavailable with what to do."""
        make_folder(config.data)
        plugins.plug_in()
        database = Database.open(config.database_url)
        try:
            take_in(config.data, database)
            settle(database, config.data)
            yield cls(config, database, Redaction.of_folder(config.data, config.redaction_rules))
        finally:
            database.close()

    @cached_property
    def sandbox(self) -> Sandbox:
        """The best sandbox of this machine, found when it is first asked for."""
        return plugins.best_sandbox()

    def confined_to(self, projects: frozenset[str] | None) -> House:
        """The same house for a reader to whom only these projects exist (`only`; None: all do)."""
        confined = copy(self)
        confined.only = projects
        return confined

    def sees(self, project: str) -> bool:
        """Whether a project exists for whoever reads."""
        return self.only is None or project in self.only

    def keep(self, events: Iterable[Event]) -> list[Recorded]:
        """Redact, group and keep events; when this returns they are on disk. Triage is not done yet."""
        return self._intake.keep(events)

    def keep_all(self, parcels: Sequence[Sequence[Event | Glimpse]]) -> list[list[Recorded] | Exception]:
        """`keep` for several senders at once: for each what became of its events, or why none of them was kept."""
        return self._intake.keep_all(parcels)

    @property
    def rages(self) -> Rages | None:
        """Of which errors a glimpse of most events is enough, because they come again and again; None of none."""
        storms = self._intake.storms
        return storms.rages if storms.any else None

    def count_served(self, told: Sequence[tuple[int, Sequence[Served]]]) -> None:
        """Count requests that ended, each with the number of its project; when this returns it is on disk."""
        if told:
            clean = self._intake.clean_names(told)
            request_lines.keep(self.database, clean)
            count_served(self.database, clean)
            sketches.count_served(self.database, clean)

    def end(self, project: Project, over: Sequence[Over]) -> list[str]:
        """Keep that alerts are over; when this returns it is on disk. The incidents that want triage for it."""
        return alerts.end(self.database, self.redaction, project, over)

    def receive(self, events: Iterable[Event]) -> list[Recorded]:
        """Keep events, then triage the incidents that are new or new in their release."""
        recorded = self.keep(events)
        for incident_id in needs_triage(recorded):
            task = tasks.of_incident(self.database, incident_id, TaskKind.TRIAGE)
            self.triage_incident(incident_id, task)
        return recorded

    def triage_incident(self, incident_id: str, task: Task | None = None) -> Triage:
        """Triage an incident by its newest kept event, and keep what was decided; `task` is done with it.
        Raises NotFound."""
        incident = queries.incident(self.database, incident_id)
        events = queries.events(self.database, incident.id, limit=1)
        if not events:
            raise NotFound(f"No event of {incident.id} is kept with its body, so it cannot be triaged.")
        self._tidy(datetime.now(UTC))
        event = self.as_triaged(incident, events[0])
        connected = self._connected(event.project)
        sources = self._sources(event, connected)
        history = self._history(incident, event, connected)
        result = triage(event, history, sources, self.classifier, lambda: datetime.now(UTC))
        stood = {repo: standing.said for repo, standing in sources.standings.items()}
        result = result.model_copy(update={"facts": {**result.facts, "standing": stood}})
        result, owner = self._with_owner(incident, result)
        journal.keep_triage(self.database, incident.id, result, task)
        if owner is not None:
            journal.suggest_owner(self.database, incident.id, owner.owner, owner.why)
        return result

    def as_triaged(self, incident: Incident, event: Event) -> Event:
        """A kept event as triage sees it: a source map may have come since, an alert has behaved in some way. Raises
        NotFound."""
        return alerts.behaving(self.database, incident, self.bundles.restored(event))

    def history(self, incident: Incident, event: Event) -> History:
        """What triage is told of an incident: its past, and what is around its event. Raises NotFound."""
        return self._history(incident, event, self._connected(incident.project))

    def _history(self, incident: Incident, event: Event, connected: Connected) -> History:
        guides = [guidance(place.mirror, part) for place, part in connected]
        critical = [(place.mirror.name, glob) for place, part in connected for glob in part.critical_paths]
        near = around(self.database, incident, event, guides, critical)
        risen = spike(self.database, incident, event)
        earlier = past(self.database, incident, event)
        return replace(history_of(incident), past=earlier, around=near, spike=risen)

    def _tidy(self, now: datetime) -> None:
        """Let go, once an hour, of counts that nothing is compared with any more."""
        if now - self._tidied > _TIDY:
            self._tidied = now
            forget(self.database, now)
            sketches.forget(self.database, now)
            request_lines.forget(self.database, now)

    def _with_owner(self, incident: Incident, result: Triage) -> tuple[Triage, Suggestion | None]:
        """Who is to look after it, as a step of the triage; not asked where a person has said so already."""
        if incident.owner_set_by is not None or result.location is None:
            return result, None
        started, clock = datetime.now(UTC), perf_counter()
        try:
            owner = suggested(self.mirrors.get(result.location.repo), result.location)
            said = f"{owner.owner}: {owner.why}" if owner else "Nothing tells who looks after this place."
        except NightdeskError as error:
            owner, said = None, str(error)
        step = Step(name="owner", started_at=started, took=perf_counter() - clock, said=said)
        return result.model_copy(update={"steps": (*result.steps, step)}), owner

    def sources_for(self, event: Event) -> ProjectSources:
        """The project's repositories at the commits this event ran on; what cannot be read is left out."""
        return self._sources(event, self._connected(event.project))

    def _sources(self, event: Event, connected: Connected) -> ProjectSources:
        release = release_of(self.database, event)
        since = release.deployed_at or release.first_seen if release else None
        stood = standings([place for place, _ in connected], event.release, release, since or event.timestamp)
        sources = ProjectSources()
        for place, part in connected:
            sources.add(place.mirror, stood[place.mirror.name], part)
        return sources

    def places(self, project: str) -> list[Place]:
        """The repositories of a project that can be read, with their locks. Raises NotFound."""
        return [place for place, _ in self._connected(project)]

    def _connected(self, project: str) -> Connected:
        found: Connected = []
        for row in queries.repositories(self.database, project):
            try:
                mirror = self.mirrors.get(row.name)
                part = self.part(row, mirror)
            except NightdeskError as error:  # one that is broken must not keep us from reading the others
                log.warning("Repository %s is left out: %s", row.name, error)
                continue
            root = _below(row)
            files = dict.fromkeys((*LOCKS, *part.requirements))
            found.append((Place(mirror, tuple(root + file for file in files)), part))
        return found

    def part(self, repository: RepositoryConfig, mirror: Mirror) -> RepositoryPart:
        """The repository's own configuration: from `repo add --config`, else its default branch; the rest
        detected."""
        head = mirror.head()
        root = _below(repository)
        if repository.config:
            given = validate(repository.config, f"configuration of {repository.name}")
        else:
            given = parse(mirror.text(head, root + FILE) or "", f"{repository.name}/{root}{FILE}")
        paths = [path.removeprefix(root) for path in mirror.paths(head) if path.startswith(root)]
        return detect(paths, lambda path: mirror.text(head, root + path), given)


def _classifier(config: Config, database: Database) -> Classifier:
    """The classifier of that name. Raises Unavailable, naming the known ones."""
    built_in: list[Classifier] = [Learned(teams(database)), Rules()]
    chosen: Classifier | None = plugins.chosen("classifiers", config.classifier, built_in)
    if chosen is None:
        names = ", ".join(["learned", "rules", *(part.name for part in plugins.parts("classifiers"))])
        raise Unavailable(f"There is no classifier {config.classifier!r}; `classifier` may be: {names}.")
    return chosen


def _below(repository: RepositoryConfig) -> str:
    """What a path begins with in the folder of the repository that is the project's."""
    return "" if repository.root in {"", "."} else f"{repository.root.strip('/')}/"


def history_of(incident: Incident) -> History:
    """What triage is told of an incident's past. It is new for a day."""
    return History(
        event_count=incident.event_count,
        user_count=incident.user_count,
        first_seen=incident.first_seen,
        is_new=incident.last_seen - incident.first_seen < _NEW,
        regressed=incident.status is Status.REGRESSED,
        first_release=incident.releases[0] if 0 < len(incident.releases) < SHOWN_VALUES else None,
    )


def needs_triage(recorded: Sequence[Recorded]) -> list[str]:
    """The incidents among these that changed enough for triage, each once, in order."""
    return list(dict.fromkeys(one.incident_id for one in recorded if one.wants_triage))


def make_folder(folder: Path) -> None:
    """Make the data folder, for its owner only. Raises Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"The data folder {folder} cannot be made: {error.strerror}. Name another with --data."
        ) from error
