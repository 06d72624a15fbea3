"""Take in the rows of an export. Doing it twice is the same as doing it once.

What is here already is recognised by what it is and not by its number: a project by its name, an incident by its
fingerprint or because it was taken in before, an event by its id. Numbers are kept where they are free; where
they are not, everything that refers to them is told the new one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session, col, func, select

from store.copying import advance
from store.database import Database
from store.errors import BadPayload
from store.hosts import keys_changed
from store.regrouping import recount
from store.rows_out import TABLES
from store.searching import note_texts
from store.tables import (
    ActRow,
    AttemptRow,
    BranchRow,
    EventRow,
    ExposureRow,
    FeedbackRow,
    FingerprintRow,
    FlagChangeRow,
    ImportRow,
    IncidentRow,
    KeyRow,
    MoveRow,
    ProjectRow,
    ReleaseRow,
    RepositoryRow,
    SourceMapRow,
    StepRow,
    SubmissionRow,
    TriageRow,
    WatchRow,
)

Rows = Callable[[str], Iterable[dict[str, Any]]]


class Taken:
    """What came of it: how many rows of each table were new, and which attempt is called what now."""

    def __init__(self) -> None:
        self.new = dict.fromkeys(TABLES, 0)
        self.attempts: dict[str, str] = {}


def take_in(db: Database, source: str, rows: Rows) -> Taken:
    """Add to the database what `rows` gives for each table, in one transaction. `source` names the installation they
    come from. Raises BadPayload where they do not fit together."""
    try:
        with db.write() as session:
            return _Import(session, source, rows).run()
    except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
        raise BadPayload(
            "The export is not whole: rows of it do not fit together. Nothing was imported."
        ) from error


class _Import:
    """The maps hold, for each old number, the number here."""

    def __init__(self, session: Session, source: str, rows: Rows) -> None:
        self._session, self._source, self._rows = session, source, rows
        self._taken = Taken()
        self._projects: dict[int, int] = {}
        self._incidents: dict[int, int] = {}
        self._fresh: set[int] = set()  # incidents that were made here by this import
        self._prints: dict[int, int] = {}
        self._events: dict[int, int] = {}
        self._acts: dict[int, int] = {}

    def run(self) -> Taken:
        for name in TABLES:
            getattr(self, f"_{name}_in")()
            self._session.flush()
        for number in sorted(set(self._incidents.values())):
            note_texts(self._session, self._session.get_one(IncidentRow, number))
        advance(self._session.connection(), TABLES["incidents"].metadata.tables["incidents"])
        return self._taken

    def _add(self, name: str, values: dict[str, Any], /, **changed: Any) -> Any:
        row = TABLES[name].model_validate({**values, **changed})
        self._session.add(row)
        self._session.flush()
        self._taken.new[name] += 1
        return row

    def _first(self, table: Any, **values: Any) -> Any:
        wanted = [col(getattr(table, key)) == value for key, value in values.items()]
        return self._session.exec(select(table).where(*wanted)).first()

    def _projects_in(self) -> None:
        for row in self._rows("projects"):
            found = self._first(ProjectRow, name=row["name"]) or self._add("projects", row, id=None)
            self._projects[row["id"]] = found.id

    def _keys_in(self) -> None:
        for row in self._rows("keys"):
            if self._first(KeyRow, key=row["key"]) is None:
                self._add("keys", row, id=None, project_id=self._projects[row["project_id"]])
                keys_changed(self._session)

    def _repositories_in(self) -> None:
        for row in self._rows("repositories"):
            place = {"project_id": self._projects[row["project_id"]], "name": row["name"]}
            if self._first(RepositoryRow, **place) is None:
                self._add("repositories", row, id=None, **place)

    def _releases_in(self) -> None:
        for row in self._rows("releases"):
            place = {
                "project_id": self._projects[row["project_id"]],
                "version": row["version"],
                "environment": row["environment"],
            }
            known = self._first(ReleaseRow, **place)
            if known is None:
                self._add("releases", row, id=None, **place)
            else:
                told = ReleaseRow.model_validate(row)
                known.commits = {**told.commits, **known.commits}
                known.deployed_at = known.deployed_at or told.deployed_at
                known.first_seen = known.first_seen or told.first_seen

    def _source_maps_in(self) -> None:
        for row in self._rows("source_maps"):
            project = self._projects[row["project_id"]]
            place = {"project_id": project, "release": row["release"], "name": row["name"]}
            if self._first(SourceMapRow, **place) is None:
                self._add("source_maps", row, id=None, **place)

    def _flag_changes_in(self) -> None:
        for row in self._rows("flag_changes"):
            told = FlagChangeRow.model_validate(row)
            project = self._projects[row["project_id"]]
            place = {
                "project_id": project, "at": told.at, "flag": told.flag, "environment": told.environment,
                "after": told.after,
            }  # fmt: skip
            if self._first(FlagChangeRow, **place) is None:
                self._add("flag_changes", row, id=None, **place)

    def _incidents_in(self) -> None:
        prints: dict[int, list[dict[str, Any]]] = {}
        for row in self._rows("fingerprints"):
            prints.setdefault(row["incident_id"], []).append(row)
        fresh: list[tuple[IncidentRow, int]] = []
        for row in self._rows("incidents"):
            here = self._known(row, prints.get(row["id"], []))
            if here is None:
                free = self._session.get(IncidentRow, row["id"]) is None
                made = self._add(
                    "incidents", row, id=row["id"] if free else None, merged_into=None,
                    project_id=self._projects[row["project_id"]],
                )  # fmt: skip
                here = made.id or 0
                self._fresh.add(here)
                if row["merged_into"] is not None:
                    fresh.append((made, row["merged_into"]))
            self._incidents[row["id"]] = here
            if self._session.get(ImportRow, (self._source, row["id"])) is None:
                self._session.add(ImportRow(source=self._source, old_id=row["id"], incident_id=here))
        for made, into in fresh:
            made.merged_into = self._incidents[into]

    def _known(self, row: dict[str, Any], prints: list[dict[str, Any]]) -> int | None:
        """The incident here that an imported one is: taken in before, of the same fingerprint, or the same one."""
        before = self._session.get(ImportRow, (self._source, row["id"]))
        if before is not None:
            return before.incident_id
        for each in prints:
            place = {"mechanism": each["mechanism"], "key": each["key"]}
            found = self._first(FingerprintRow, project_id=self._projects[row["project_id"]], **place)
            if found is not None:
                return int(found.incident_id)
        same = self._session.get(IncidentRow, row["id"])
        told = IncidentRow.model_validate(row)
        alike = same is not None and (same.title, same.first_seen) == (told.title, told.first_seen)
        return row["id"] if alike and same and same.project_id == self._projects[row["project_id"]] else None

    def _fingerprints_in(self) -> None:
        for row in self._rows("fingerprints"):
            place = {
                "project_id": self._projects[row["project_id"]],
                "mechanism": row["mechanism"],
                "key": row["key"],
            }
            found = self._first(FingerprintRow, **place)
            if found is None:
                incident = self._incidents[row["incident_id"]]
                found = self._add("fingerprints", row, id=None, incident_id=incident, **place)
            self._prints[row["id"]] = found.id

    def _events_in(self) -> None:
        touched = set(self._fresh)
        for row in self._rows("events"):
            place = {"project_id": self._projects[row["project_id"]], "event_id": row["event_id"]}
            found = self._first(EventRow, **place)
            if found is None:
                incident = self._incidents[row["incident_id"]]
                touched.add(incident)
                body = base64.b64decode(row["body"]) if row["body"] else None
                found = self._add(
                    "events", row, id=None, incident_id=incident, body=body,
                    fingerprint_id=self._prints.get(row["fingerprint_id"]), **place,
                )  # fmt: skip
            self._events[row["id"]] = found.id
        for number in sorted(touched):
            recount(self._session, self._session.get_one(IncidentRow, number))

    def _triages_in(self) -> None:
        for row in self._rows("triages"):
            told = TriageRow.model_validate(row)
            place = {"incident_id": self._incidents[row["incident_id"]], "at": told.at}
            if self._first(TriageRow, **place) is None:
                self._add("triages", row, id=None, **place)

    def _attempts_in(self) -> None:
        for row in self._rows("attempts"):
            incident = self._incidents[row["incident_id"]]
            body = json.loads(row["body"])
            there = self._session.exec(select(AttemptRow).where(AttemptRow.incident_id == incident)).all()
            same = [each for each in there if json.loads(each.body)["started_at"] == body["started_at"]]
            if same:
                self._taken.attempts[row["id"]] = same[0].id
                continue
            number = max((each.number for each in there), default=0) + 1
            name = row["id"] if incident == row["incident_id"] else f"INC-{incident}-{number}"
            if self._session.get(AttemptRow, name) is not None:
                name = f"INC-{incident}-{number}"
            number = row["number"] if name == row["id"] else number
            told = json.dumps({**body, "id": name, "incident_id": f"INC-{incident}"})
            self._add("attempts", row, id=name, incident_id=incident, number=number, body=told)
            self._taken.attempts[row["id"]] = name

    def _steps_in(self) -> None:
        known: dict[str, set[str]] = {}
        for row in self._rows("steps"):
            attempt = self._taken.attempts[row["attempt_id"]]
            if attempt not in known:
                known[attempt] = set(
                    self._session.exec(select(StepRow.body).where(StepRow.attempt_id == attempt))
                )
            if row["body"] not in known[attempt]:
                known[attempt].add(row["body"])
                self._add("steps", row, id=None, attempt_id=attempt)

    def _submissions_in(self) -> None:
        """One that had not ended there is not judged here: it says so, and is handed in again."""
        for row in self._rows("submissions"):
            number, attempt = (
                self._incidents[row["incident_id"]],
                self._taken.attempts.get(json.loads(row["body"])["attempt_id"]),
            )
            place = {"incident_id": number, "digest": row["digest"]}
            if attempt is None or self._first(SubmissionRow, **place) is not None:
                continue
            mine = select(func.max(SubmissionRow.number)).where(SubmissionRow.incident_id == number)
            last = (self._session.exec(mine).one() or 0) + 1
            told = {"id": f"INC-{number}-p{last}", "incident_id": f"INC-{number}", "attempt_id": attempt}
            body = {**json.loads(row["body"]), **told}
            if not row["ended"]:
                body |= {"ended_at": body["asked_at"], "said": "it was not judged where it was handed in"}
            fields = {"number": last, "body": json.dumps(body), "ended": True, "holder": None}
            self._add("submissions", row, id=told["id"], **fields, **place)

    def _acts_in(self) -> None:
        for row in self._rows("acts"):
            told = ActRow.model_validate(row)
            subject = told.subject
            if subject.startswith("INC-"):
                subject = f"INC-{self._incidents[int(subject.removeprefix('INC-'))]}"
            place = {"at": told.at, "who": told.who, "what": told.what, "subject": subject}
            found = self._first(ActRow, **place)
            if found is None:
                before, after = self._renumbered(told)
                found = self._add("acts", row, id=None, before=before, after=after, **place)
            self._acts[row["id"]] = found.id

    def _renumbered(self, act: ActRow) -> tuple[Any, Any]:
        """What an act tells, with the numbers that things have here."""
        before, after = act.before, act.after
        if act.what in ("merge", "split"):
            before = {**before, "incident": self._incidents[before["incident"]]}
        if act.what == "merge":
            before["fingerprints"] = [self._prints[number] for number in before["fingerprints"]]
            before["last_event"] = self._session.exec(select(func.max(EventRow.id))).one() or 0
            after = {**after, "into": self._incidents[after["into"]]}
        elif act.what == "split":
            after = {**after, "made": {value: self._incidents[n] for value, n in after["made"].items()}}
        elif act.what == "undo":
            before = {**before, "act": self._acts[before["act"]]}
        return before, after

    def _moves_in(self) -> None:
        for row in self._rows("moves"):
            place = {"act_id": self._acts[row["act_id"]], "event_id": self._events[row["event_id"]]}
            if self._first(MoveRow, **place) is None:
                self._add("moves", row, from_id=self._incidents[row["from_id"]], **place)

    def _branches_in(self) -> None:
        for row in self._rows("branches"):
            place = {"incident_id": self._incidents[row["incident_id"]], "value": row["value"]}
            if self._first(BranchRow, **place) is None:
                self._add("branches", row, target_id=self._incidents[row["target_id"]], **place)

    def _watches_in(self) -> None:
        for row in self._rows("watches"):
            attempt = self._taken.attempts[row["attempt_id"]]
            if self._first(WatchRow, attempt_id=attempt) is None:
                incident = self._incidents[row["incident_id"]]
                self._add("watches", row, id=None, incident_id=incident, attempt_id=attempt)

    def _feedback_in(self) -> None:
        for row in self._rows("feedback"):
            place = {"attempt_id": self._taken.attempts[row["attempt_id"]], "repo": row["repo"],
                     "kind": row["kind"], "source": row["source"]}  # fmt: skip
            if self._first(FeedbackRow, **place) is None:
                self._add("feedback", row, id=None, incident_id=self._incidents[row["incident_id"]], **place)

    def _exposures_in(self) -> None:
        for row in self._rows("exposures"):
            told = ExposureRow.model_validate({**row, "project_id": self._projects[row["project_id"]]})
            place = {
                name: getattr(told, name)
                for name in ("project_id", "release", "environment", "transaction", "hour")
            }
            if self._first(ExposureRow, **place) is None:
                self._add("exposures", row, **place)
