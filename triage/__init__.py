"""triage: from a raw payload to a verdict. Values in, values out: no database, no network, no processes.

The protocols that strangers may implement; the built-in ones are registered the same way (entry points
`nightdesk.formats`, `nightdesk.languages`, `nightdesk.classifiers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from store.event import Event, ExceptionValue, Over
    from store.incident import Verdict
    from triage.analyse import Analysis


class Format(Protocol):
    """A wire format: bytes to events. `parse` raises `BadPayload` with one sentence when the body is not
    what it says."""

    name: str

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether this body looks like this format (used by `--format auto`)."""
        ...

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """All events in the body, oldest first; not yet redacted."""
        ...


@runtime_checkable
class Alarms(Protocol):
    """A `Format` whose senders also say when what they reported is over."""

    def over(self, body: bytes, *, received_at: datetime) -> list[Over]:
        """What a body says is over; raises `BadPayload` as `parse` does."""
        ...


class Language(Protocol):
    """A programming language: how its stack traces read and what a line of its source belongs to."""

    name: str

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every trace in the text; each is a chain of exceptions, the one raised last at the end."""
        ...

    def in_app(self, path: str) -> bool:
        """Whether a frame at this path is the team's own code rather than a library's."""
        ...

    def symbol_at(self, source: str, line: int) -> str | None:
        """The qualified name of the innermost definition around a line (1-based)."""
        ...


class Classifier(Protocol):
    """Signal or noise, and of which kind."""

    name: str

    def classify(self, event: Event, analysis: Analysis) -> Verdict:
        """Never raises; doubt survives (it is signal)."""
        ...


class Sources(Protocol):
    """The team's code at the running release, over all repositories. Read-only; handed in by the server."""

    def repositories(self) -> Sequence[str]:
        """Names of the repositories of the project."""
        ...

    def commit(self, repo: str) -> str:
        """The commit of this repository that the running release contains."""
        ...

    def paths(self, repo: str) -> Sequence[str]:
        """Every file of the repository at that commit."""
        ...

    def text(self, repo: str, path: str) -> str | None:
        """A file's text at that commit, or None where it is absent or not text."""
        ...

    def path_map(self, repo: str) -> Mapping[str, str]:
        """Configured prefixes: path in production to folder of the repository (`{"/app": "."}`)."""
        ...

    def renamed(self, repo: str) -> Mapping[str, str]:
        """Names that files of the repository had at another time, to the ones that they have at that commit. Asked for
        only where a frame is nowhere."""
        ...
