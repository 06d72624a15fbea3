"""Builders and samples that the tests of triage share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store.event import Event, ExceptionValue, Frame

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Files:
    """`Sources` over texts in memory: {repository: {path: text}}."""

    def __init__(
        self,
        files: Mapping[str, Mapping[str, str]],
        maps: Mapping[str, Mapping[str, str]] | None = None,
        former: Mapping[str, Mapping[str, str]] | None = None,
    ):
        self._files, self._maps, self._former = files, maps or {}, former or {}

    def repositories(self) -> Sequence[str]:
        return tuple(self._files)

    def commit(self, repo: str) -> str:
        return (repo.encode().hex() * 40)[:40]

    def paths(self, repo: str) -> Sequence[str]:
        return tuple(self._files[repo])

    def text(self, repo: str, path: str) -> str | None:
        return self._files[repo].get(path)

    def path_map(self, repo: str) -> Mapping[str, str]:
        return self._maps.get(repo, {})

    def renamed(self, repo: str) -> Mapping[str, str]:
        return self._former.get(repo, {})


def frame(
    path: str, line: int, function: str, source: str | None = None, *, in_app: bool = True, **more: Any
) -> Frame:
    return Frame(
        abs_path=path,
        filename=path,
        lineno=line,
        function=function,
        context_line=source,
        in_app=in_app,
        **more,
    )


def raised(kind: str, value: str, *frames: Frame, **more: Any) -> ExceptionValue:
    return ExceptionValue(type=kind, value=value, frames=frames, **more)


def event(*exceptions: ExceptionValue, **more: Any) -> Event:
    return Event(
        **{
            "event_id": "0" * 32,
            "project": "shop",
            "received_at": NOW,
            "timestamp": NOW,
            "platform": "python",
            "exceptions": exceptions,
            **more,
        }
    )


def corpus_json(name: str) -> Any:
    return json.loads((CORPUS / name).read_text(encoding="utf-8"))
