"""The page of one incident, read from top to bottom as an argument; and the part of it that keeps itself up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from server.drafts.approvals import proposed
from server.incidents.as_json import incident_json
from server.incidents.capsules import contents
from server.incidents.lookup import incident_by_id
from server.incidents.markdown import incident_markdown
from server.incidents.variation import variation
from server.incidents.view import IncidentView, incident_view
from server.web import links, news
from server.web.diffs import DiffFile, diff_files
from server.web.highlight import code, coloured
from server.web.lists import done
from server.web.sessions import FORM_HEADERS
from server.web.story import Button, answer, button, moments, named
from server.web.visiting import Visit
from store import overview, queries
from store.errors import NightdeskError, NotFound
from store.event import Event, Frame
from store.incident import CodeLocation, Incident
from store.regrouping import SPLIT_BY
from store.repair import Attempt, CandidateChange, DraftPullRequest
from store.undoing import UNDOABLE

_OCCURRENCES = 20
_COMPARED = 20  # newest events whose fields are compared
_HUNKS = 3  # candidate changes whose hunks are drawn; the pages of the others have them


def page(visit: Visit) -> Response:
    """One incident."""
    since = news.begun(visit.house, _find(visit).id)
    values = parts(visit, _find(visit))
    return visit.page("incident.html", **values, done=done(visit), since=since)


def as_json(visit: Visit) -> Response:
    """The same as JSON."""
    return JSONResponse(incident_json(visit.house, _find(visit).id), headers=dict(FORM_HEADERS))


def as_markdown(visit: Visit) -> Response:
    """The same as Markdown, as assistants read it."""
    text = incident_markdown(incident_view(visit.house, _find(visit)))
    return Response(text, media_type="text/markdown", headers=dict(FORM_HEADERS))


def live_parts(visit: Visit) -> dict[str, Any]:
    """What the part that keeps itself up to date is made of."""
    return parts(visit, _find(visit))


def parts(visit: Visit, incident: Incident) -> dict[str, Any]:
    """Everything that the page shows."""
    house = visit.house
    view = incident_view(house, incident, compared=_COMPARED)
    attempt, event = view.running or view.attempt, view.event
    places = links.places(queries.repositories(house.database, incident.project), house.config.forges)
    pressed = button(
        view, can_fix=visit.can("fix", incident.project), can_draft=visit.can("draft", incident.project)
    )
    return {
        "incident": incident,
        "view": view,
        "attempt": attempt,
        "event": event,
        "capsule": contents(event.capsule) if event else [],
        "answer": answer(incident, attempt),
        "button": pressed,
        "places": places,
        "trace_links": _trace_links(event, view, places),
        "changes": [
            _change(visit, change, number) for number, change in enumerate(attempt.changes if attempt else ())
        ],
        "moments": moments(incident, attempt),
        "named": named(attempt),
        "test": code(attempt.reproducer.source, attempt.reproducer.test_path)
        if attempt and attempt.reproducer
        else "",
        "patch": _patch(visit, attempt),
        "drafts": _drafts(visit, incident, attempt, pressed),
        "reviewed": visit.can("draft", incident.project)
        and any(
            each.state == "open" and each.forge != "local_git" for each in (attempt.drafts if attempt else ())
        ),
        "variation": variation(view.events),
        "occurrences": overview.newest(house.database, incident.id, _OCCURRENCES),
        "lately": overview.lately(house.database, [incident.id])[incident.id],
        "merged": queries.merged(house.database, incident.id),
        "undoable": _undoable(view),
        "split_by": SPLIT_BY,
    }


def _find(visit: Visit) -> Incident:
    return incident_by_id(visit.house, visit.request.path_params["ref"])


def _change(visit: Visit, change: CandidateChange, number: int) -> dict[str, Any]:
    """A candidate change with its hunks in colours, where it is among the first."""
    files = diff_files(change.hunks) if change.hunks and number < _HUNKS else []
    if files:
        _colour(visit, change.repo, files, change.commit + "^", change.commit)
    return {"value": change, "files": files}


def _patch(visit: Visit, attempt: Attempt | None) -> Mapping[str, Sequence[DiffFile]]:
    """The files of the patch by repository."""
    patch = attempt.patch if attempt else None
    if patch is None:
        return {}
    found = {repo: diff_files(diff) for repo, diff in patch.diffs.items()}
    for repo, files in found.items():
        _colour(visit, repo, files, patch.base_commits.get(repo, ""), None)
    return found


def _colour(visit: Visit, repo: str, files: list[DiffFile], before: str, after: str | None) -> None:
    """Draw lines in colours; a repository that cannot be read leaves them plain."""
    try:
        mirror = visit.house.mirrors.get(repo)
        paths = [file.path for file in files]
        sides = [_texts(mirror.blobs(side, paths)) if side else {} for side in (before, after)]
        coloured(files, lambda path: sides[0].get(path), (lambda path: sides[1].get(path)) if after else None)
    except NightdeskError:
        return


def _texts(blobs: Mapping[str, bytes | None]) -> dict[str, str]:
    return {
        path: content.decode("utf-8", "replace") for path, content in blobs.items() if content is not None
    }


def _trace_links(
    event: Event | None, view: IncidentView, places: Mapping[str, links.Place]
) -> dict[tuple[str | None, int | None], str]:
    """Where the frames of the trace can be looked up in the forge, by file and line: the frame that was located, and
    those whose files lie under the same folder of the same repository."""
    place = view.incident.location
    if event is None or event.exception is None or place is None or place.repo not in places:
        return {}
    prefix = _prefix(event.exception.frames, place)
    if prefix is None:
        return {}
    folder, shift = prefix
    return {
        (frame.filename, frame.lineno): places[place.repo].file(place.commit, shift + name, frame.lineno)
        for raised in event.exceptions
        for frame in raised.frames
        if frame.in_app and (name := frame.filename or "").startswith(folder)
    }


def _prefix(frames: Sequence[Frame], place: CodeLocation) -> tuple[str, str] | None:
    """From how files are called in the trace to their paths: the first folder there, and what stands before it here."""
    for frame in reversed(frames):
        name = frame.filename or ""
        if frame.lineno == place.line and name and place.path.endswith(name) and "/" in name:
            return name.partition("/")[0] + "/", place.path.removesuffix(name)
    return None


def _drafts(
    visit: Visit, incident: Incident, attempt: Attempt | None, pressed: Button | None
) -> Sequence[DraftPullRequest]:
    """The drafts there are; else what would be pushed, where there is a button for it."""
    if attempt and attempt.drafts:
        return attempt.drafts
    if pressed is None or pressed.act != "draft":
        return ()
    try:
        return proposed(visit.house, incident.id)[2]
    except (NotFound, NightdeskError):
        return ()


def _undoable(view: IncidentView) -> frozenset[int]:
    """The numbers of the acts that can be taken back and were not."""
    undone = {act.before["act"] for act in view.acts if act.what == "undo"}
    return frozenset(act.id for act in view.acts if act.what in UNDOABLE and act.id not in undone)
