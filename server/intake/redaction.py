"""Redaction as this installation runs it: its key, what the team added, and one redactor for each project.

The same value becomes the same token within a project, and another one in another project: two teams on one
installation cannot compare their people.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from functools import lru_cache
from pathlib import Path
from time import monotonic

from store.errors import BadPayload, Unavailable
from store.event import Capsule, Event
from triage.capsule_walk import CapsuleRedactor
from triage.redact import Redactor
from triage.redaction_rules import NO_RULES, Rules, read_rules

KEY_FILE = "redaction.key"
RULES_FILE = "redaction.json"
_LOOK = 1.0  # seconds between two looks at the file of rules


class Redaction:
    """Safe to use from several threads. With a `folder`, rules that are written there count within a second, in every
    process: what the team adds must not wait for a restart."""

    def __init__(
        self, key: bytes, rules: Rules = NO_RULES, folder: Path | None = None, named: str = ""
    ) -> None:
        self._key, self._folder, self._named = key, folder, named
        self._lock = threading.Lock()
        self._stamp, self._looked = self._as_written(), monotonic()
        self._made = _Redactors(key, rules)

    @classmethod
    def of_folder(cls, folder: Path, rules: str = "") -> Redaction:
        """With the key of a data folder, and the rules of a file. Raises Unavailable."""
        return cls(redaction_key(folder), load_rules(folder, rules), folder, rules)

    def of_project(self, project: str) -> Redactor:
        """The redactor of a project, by the rules in force. Raises Unavailable where they cannot be read."""
        return self._now().of_project(project)

    def redact(self, event: Event) -> Event:
        """The event without secrets and personal data, under the key of its project."""
        if event.capsule is None:
            return self.of_project(event.project).redact(event)
        clean = self.of_project(event.project).redact(event.model_copy(update={"capsule": None}))
        return clean.model_copy(update={"capsule": self._capsule(event.capsule, event.project)})

    def _capsule(self, capsule: Capsule, project: str) -> Capsule:
        """The capsule under the project's key: what its sender took out gets other tokens, the same for the same."""
        if capsule.content is None:
            return capsule
        content, rows = self._now().of_capsules(project).redact(capsule.content)
        content["redacted"] = [*content["redacted"], *map(list, rows)]
        pointers = tuple(dict.fromkeys(row[0] for row in content["redacted"]))
        return capsule.model_copy(update={"content": content, "redacted": pointers})

    def name(self, project: int, text: str) -> str:
        """A short text without secrets and personal data; the tokens in it are of the project's number."""
        return self.of_project(str(project)).text(text)

    def _now(self) -> _Redactors:
        if self._folder is not None and monotonic() - self._looked > _LOOK:
            with self._lock:
                stamp = self._as_written()
                if stamp != self._stamp:
                    self._made = _Redactors(self._key, load_rules(self._folder, self._named))
                    self._stamp = stamp
                self._looked = monotonic()
        return self._made

    def _as_written(self) -> tuple[int, int, int] | None:
        """What tells one state of the file of rules from another; None where there is none."""
        if self._folder is None:
            return None
        try:
            found = rules_file(self._folder, self._named).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


class _Redactors:
    """One redactor for each project, by one set of rules."""

    def __init__(self, key: bytes, rules: Rules) -> None:
        def own(project: str) -> bytes:
            return hashlib.blake2b(project.encode("utf-8", "replace"), key=key, digest_size=32).digest()

        self.of_project = lru_cache(maxsize=256)(lambda project: Redactor(own(project), rules))
        self.of_capsules = lru_cache(maxsize=256)(
            lambda project: CapsuleRedactor(own(project), rules, renews=True)
        )


def rules_file(folder: Path, named: str = "") -> Path:
    """Where the rules of an installation stand, whether or not there are any."""
    return Path(named).expanduser() if named else folder / RULES_FILE


def load_rules(folder: Path, named: str = "") -> Rules:
    """The rules in the file that is named, else in `redaction.json` of the data folder, else none.

    Raises Unavailable: an installation whose rules cannot be read must not take events without them.
    """
    path = rules_file(folder, named)
    if not named and not path.exists():
        return NO_RULES
    try:
        return read_rules(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Unavailable(f"The rules of redaction {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"The rules of redaction {path} are not JSON: {str(error)[:120]}.") from error
    except BadPayload as error:
        raise Unavailable(f"{path}: {error}") from error


def new_redaction_key(folder: Path) -> bytes:
    """Put a new key in the place of the one that is there. Raises Unavailable."""
    path = folder / KEY_FILE
    try:
        _fresh_key(folder).replace(path)
    except OSError as error:
        raise Unavailable(f"The redaction key {path} cannot be written: {error.strerror}.") from error
    return redaction_key(folder)


def _fresh_key(folder: Path) -> Path:
    """A new key in a file of another name."""
    fresh = folder / f".redaction.key.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return fresh


def redaction_key(folder: Path) -> bytes:
    """The key that makes redaction's tokens equal for equal values, and unguessable. Made once, mode 0600."""
    path = folder / KEY_FILE
    try:
        if not path.exists():
            fresh = _fresh_key(folder)
            try:
                os.link(fresh, path)  # atomic, and never replaces the key another process has just made
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The redaction key {path} cannot be used: {error.strerror}.") from error
    if len(key) != 32:
        raise Unavailable(
            f"The redaction key {path} is damaged; restore it, or remove it to have a new one made."
        )
    return key
