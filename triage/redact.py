"""Secrets and personal data out of an event before anything is kept, each with an audit row.

Two rules: what a *name* says (`password`, `X-Api-Key`, `access_token`, at any depth, in texts and reprs)
and what a *shape* says (keys of known providers, JWTs, private keys, e-mail addresses, card numbers). The
same value becomes the same token under one project key. Running it twice changes nothing.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, TypeAlias, cast

from store.event import Event, ExceptionValue, Frame, Redaction, Request
from triage import sensitive
from triage.again import Again
from triage.detectors import QUOTED, Hit, cookie_pairs, detectors, secret_token
from triage.redaction_rules import NO_RULES, Rules, SchemaWalk
from triage.screening import Screen
from triage.sensitive import looks_secret, name_strength
from triage.tagging import Tagger
from triage.tokens import EMAIL_DOMAIN, Tokens, is_token

AUDIT_LIMIT = 1000  # rows of one event; beyond it values are still taken out
# What became of a text is remembered: names, paths, headers and lines of source come with each event again.
KNOWN_TEXTS, KNOWN_LENGTH = 20_000, 400
SHORT = 6  # characters below which nothing is told by a text's shape
SEEN_PARTS = 4096  # frames and mappings that are known again by identity (`again`)
LONG_NUMBER = 10**13  # a number beyond may be a card's
ROUNDS = 4  # a text is read again until nothing more is found
Reading: TypeAlias = tuple[str, list[Hit]]  # what is left of a text, and what was taken out of it
_PERSON_FIELDS = frozenset({"username", "name", "first_name", "last_name", "full_name"})


class Redactor:
    """Takes events apart under one project's key. Safe to share between threads: a call keeps its own
    state."""

    def __init__(self, key: bytes, rules: Rules = NO_RULES) -> None:
        self._rules = rules
        self._tokens = Tokens(key, rules)
        self._screen = Screen(detectors(rules))
        self._seen = Seen()
        self._known = _Known()
        self._schemas = {part: SchemaWalk(schema) for part, schema in rules.schemas.items()}

    def redact(self, event: Event) -> Event:
        """The same event without secrets and personal data; `redactions` says where something was."""
        tagger = Tagger(self._tokens, self._schemas) if self._schemas else None
        told = tagger.event(event) if tagger else event
        clean = self._walk().event(told)
        if tagger is None or not tagger.rows:
            return clean
        return clean.model_copy(update={"redactions": (*tagger.rows, *clean.redactions)})

    def text(self, value: str) -> str:
        """One text by itself."""
        return self._walk().text(value)

    def _walk(self) -> _Walk:
        self._known.forget()
        return _Walk(self._tokens, self._rules, self._screen, self._seen, self._known)


def redact(event: Event, key: bytes, rules: Rules = NO_RULES) -> Event:
    """`Redactor(key, rules).redact(event)`."""
    return Redactor(key, rules).redact(event)


class _Known:
    """What is remembered of texts, under one key and one set of rules."""

    def __init__(self) -> None:
        self.clean: set[str] = set()  # no detector has to read them
        self.names: set[str] = set()  # of those, the ones that say nothing of what they stand for
        self.read: dict[tuple[str, bool], Reading] = {}  # what the detectors made of others; of source or not

    def forget(self) -> None:
        """Begin anew once there is too much."""
        for kept in (self.clean, self.names, self.read):
            if len(kept) > KNOWN_TEXTS:
                kept.clear()


class Seen:
    """Parts of events that came before, the very same objects, with what became of each: the part without secrets, and
    its audit rows with pointers from the part on. The least used is forgotten. Safe to use from several threads."""

    def __init__(self) -> None:
        self._parts: OrderedDict[int, tuple[object, Any, tuple[Redaction, ...]]] = OrderedDict()
        self._lock = Lock()

    def get(self, part: object) -> tuple[Any, tuple[Redaction, ...]] | None:
        """What became of a part; None for one that was not seen."""
        with self._lock:
            found = self._parts.get(id(part))
            if found is None or found[0] is not part:
                return None
            self._parts.move_to_end(id(part))
            return found[1:]

    def add(self, part: object, clean: Any, rows: tuple[Redaction, ...]) -> None:
        """Remember it, and the part itself with it: as long as that is here, nothing else has its identity."""
        with self._lock:
            self._parts[id(part)] = (part, clean, rows)
            if len(self._parts) > SEEN_PARTS:
                self._parts.popitem(last=False)


class _Walk:
    """One pass over one event."""

    def __init__(self, tokens: Tokens, rules: Rules, screen: Screen, seen: Seen, known: _Known) -> None:
        self._tokens, self._rules, self._screen = tokens, rules, screen
        self._seen, self._known = seen, known
        self._clean, self._names = known.clean, known.names
        self._long: dict[tuple[str, bool], Reading] = {}  # texts that are too long to be remembered for good
        self._rows: list[Redaction] = []
        self._path: list[str] = []

    def _once(self, part: Any, work: Callable[[Any], Any]) -> Any:
        """What becomes of a part of the event that may come again: found out once."""
        found = self._seen.get(part)
        if found is not None:
            if found[1]:
                prefix = self._pointer()
                for row in found[1][: AUDIT_LIMIT - len(self._rows)]:
                    self._rows.append(row.model_copy(update={"pointer": (prefix + row.pointer)[:500]}))
            return found[0]
        before, prefix = len(self._rows), self._pointer()
        clean = work(part)
        rows = self._rows[before:]
        if len(self._rows) < AUDIT_LIMIT:
            own = [row.model_copy(update={"pointer": row.pointer.removeprefix(prefix)}) for row in rows]
            self._seen.add(part, clean, tuple(own))
        return clean

    # --- texts ---

    def text(self, value: str, *, source: bool = False) -> str:
        """A text without what its shape or a name in it gives away; audit rows at the current path."""
        if value in self._clean or len(value) < SHORT:
            return value
        place = (value, source)
        found = self._known.read.get(place) or self._long.get(place) or self._read(value, source)
        for kind, rule in found[1]:
            self._note(kind, rule)
        return value if found[0] == value else found[0]

    def _read(self, value: str, source: bool) -> Reading:
        """The text without what the detectors find, again and again until they find nothing more. Remembered."""
        short = len(value) <= KNOWN_LENGTH
        chosen = self._screen.of(value)
        if not chosen and short:
            self._clean.add(value)
            return value, []
        text, hits = value, list[Hit]()
        for _ in range(ROUNDS):
            before = text
            for detector in chosen:
                text = detector.replace(text, self._tokens, hits, source)
            if text == before:
                break
            chosen = self._screen.of(text)
        (self._known.read if short else self._long)[value, source] = text, hits
        return text, hits

    # --- structures ---

    def value(self, value: Any, strength: int = 0) -> Any:
        """Any JSON value under a name of the given strength; the same object where nothing was found."""
        if isinstance(value, str):
            return self._named(value, strength) if strength else self.text(value)
        if isinstance(value, dict):
            if not strength and value.__class__ is Again:
                return self._once(value, self._mapping)
            return self._mapping(value, strength)
        if isinstance(value, list | tuple):
            return self._list(value, strength)
        if isinstance(value, bool) or value is None:
            return value
        if strength == 2 and isinstance(value, int | float):
            self._note("secret", "name")
            return self._tokens.secret(str(value))
        if isinstance(value, int) and value > LONG_NUMBER and sensitive.is_card(str(value)):
            self._note("card", "shape:card")
            return int(self._tokens.card(str(value)))
        return value

    def _is_plain(self, value: Any) -> bool:
        """Whether a glance tells that nothing in a value has to go, unless its name says so."""
        kind = value.__class__
        if kind is str:
            return value in self._clean or len(value) < SHORT
        return value is None or kind is bool or kind is float or (kind is int and value <= LONG_NUMBER)

    def _list(self, value: Sequence[Any], strength: int) -> Any:
        found = [
            item
            if not strength and self._is_plain(item)
            else self._at(str(place), self.value, item, strength)
            for place, item in enumerate(value)
        ]
        return value if all(map(operator.is_, found, value)) else found

    def _mapping(self, value: dict[str, Any], strength: int = 0) -> dict[str, Any]:
        names = self._names
        changes: dict[str, tuple[str, Any]] = {}
        for key, item in value.items():
            own, name = strength, key
            if key not in names:
                own, name = self._name(key, strength)
            if not own and name == key and self._is_plain(item):
                continue
            new = self._at(key, self.value, item, own)
            if new is not item or name != key:
                changes[key] = name, new
        return dict([changes.get(key, (key, item)) for key, item in value.items()]) if changes else value

    def _name(self, key: str, strength: int) -> tuple[int, str]:
        """How much a name says of what stands under it, and the name without what it gives away itself."""
        own = 0 if key.lower() in self._rules.allow_names else name_strength(key)
        name = self.text(key)
        if not own and (key in self._clean or len(key) < SHORT):
            self._names.add(key)
        return max(strength, own), name

    def _named(self, value: str, strength: int) -> str:
        """A text that stands under a telling name: all of it goes, its quotes and scheme stay."""
        outer = QUOTED.match(value)
        inner = outer["value"] if outer else value
        if strength == 1 and not looks_secret(inner):
            return self.text(value)
        token = None if self._tokens.allows(inner) else secret_token(inner, self._tokens)
        if token is None:
            return self.text(value)
        self._note("secret", "name")
        return f"{outer['open']}{token}{outer['end']}" if outer else token

    def _at(self, part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work` with one more part on the path."""
        self._path.append(part)
        found = work(*arguments)
        self._path.pop()  # what raises ends the walk
        return found

    def _note(self, kind: str, rule: str) -> None:
        if len(self._rows) < AUDIT_LIMIT:
            self._rows.append(Redaction(pointer=self._pointer()[:500], kind=kind, rule=rule))

    def _pointer(self) -> str:
        joined = "/".join(self._path)
        if "~" in joined or joined.count("/") >= len(self._path):
            return "/" + "/".join([part.replace("~", "~0").replace("/", "~1") for part in self._path])
        return "/" + joined

    # --- the event ---

    def event(self, event: Event) -> Event:
        changes: dict[str, Any] = {}
        for name in ("message", "transaction", "logger", "server_name"):
            self._change(changes, name, getattr(event, name), lambda text: self.text(text) if text else text)
        for name in ("tags", "extra"):
            self._change(changes, name, getattr(event, name), self.value)
        self._change(changes, "contexts", event.contexts, self._contexts)
        self._change(changes, "client_fingerprint", event.client_fingerprint, self._strings)
        self._change(changes, "user", event.user, self._user)
        self._change(changes, "request", event.request, self._request)
        self._change(changes, "exceptions", event.exceptions, self._exceptions)
        self._change(changes, "breadcrumbs", event.breadcrumbs, self._breadcrumbs)
        if self._rows:
            changes["redactions"] = event.redactions + tuple(self._rows)
        return event.model_copy(update=changes) if changes else event

    def _contexts(self, contexts: dict[str, Any]) -> dict[str, Any]:
        modules = contexts.get("modules")
        if modules is None:
            return cast(dict[str, Any], self.value(contexts))
        clean = self._at("modules", self._once, modules, self.value)
        rest = {name: part for name, part in contexts.items() if name != "modules"}
        found = self.value(rest)
        return contexts if found is rest and clean is modules else {**found, "modules": clean}

    def _change(self, changes: dict[str, Any], name: str, old: Any, work: Callable[[Any], Any]) -> None:
        new = self._at(name, work, old)
        if new is not old:
            changes[name] = new

    def _strings(self, lines: tuple[str, ...], *, source: bool = False) -> tuple[str, ...]:
        if self._clean.issuperset(lines):
            return lines
        key_block = source and any("PRIVATE KEY-----" in line for line in lines)
        found = tuple(
            [
                line if line in self._clean and not key_block
                else self._at(str(place), self._line, line, source, key_block)
                for place, line in enumerate(lines)
            ]
        )  # fmt: skip
        return lines if all(map(operator.is_, found, lines)) else found

    def _line(self, line: str, source: bool, key_block: bool) -> str:
        if key_block and sensitive.KEY_BODY_LINE.match(line) and not is_token(line.strip("\"' \\n")):
            self._note("private_key", "shape:private_key")
            return self._tokens.secret(line)
        return self.text(line, source=source)

    def _exceptions(self, exceptions: tuple[ExceptionValue, ...]) -> tuple[ExceptionValue, ...]:
        found = tuple(
            [self._at(str(place), self._exception, raised) for place, raised in enumerate(exceptions)]
        )
        return exceptions if all(map(operator.is_, found, exceptions)) else found

    def _exception(self, raised: ExceptionValue) -> ExceptionValue:
        changes: dict[str, Any] = {}
        self._change(changes, "value", raised.value, self.text)
        self._change(changes, "frames", raised.frames, self._frames)
        return raised.model_copy(update=changes) if changes else raised

    def _frames(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        found = tuple(
            [self._at(str(place), self._once, frame, self._frame) for place, frame in enumerate(frames)]
        )
        return frames if all(map(operator.is_, found, frames)) else found

    def _frame(self, frame: Frame) -> Frame:
        changes: dict[str, Any] = {}
        # arguments in Elixir, addresses with queries in browsers
        for name, said in (
            ("function", frame.function),
            ("filename", frame.filename),
            ("abs_path", frame.abs_path),
        ):
            if said and said not in self._clean:
                self._change(changes, name, said, self.text)
        if frame.vars:
            self._change(changes, "vars", frame.vars, self.value)
        if frame.context_line and frame.context_line not in self._clean:
            self._change(
                changes, "context_line", frame.context_line, lambda line: self.text(line, source=True)
            )
        for name, lines in (("pre_context", frame.pre_context), ("post_context", frame.post_context)):
            self._change(changes, name, lines, lambda lines: self._strings(lines, source=True))
        return frame.model_copy(update=changes) if changes else frame

    def _breadcrumbs(self, crumbs: tuple[Any, ...]) -> tuple[Any, ...]:
        found = tuple([self._at(str(place), self._crumb, crumb) for place, crumb in enumerate(crumbs)])
        return crumbs if all(map(operator.is_, found, crumbs)) else found

    def _crumb(self, crumb: Any) -> Any:
        changes: dict[str, Any] = {}
        if crumb.message:
            self._change(changes, "message", crumb.message, self.text)
        if crumb.data:
            self._change(changes, "data", crumb.data, self.value)
        return crumb.model_copy(update=changes) if changes else crumb

    def _user(self, user: dict[str, Any]) -> dict[str, Any]:
        found = dict(self.value(user))
        for field, value in user.items():
            if field in _PERSON_FIELDS and isinstance(value, str) and found[field] == value and value:
                found[field] = self._at(field, self._person, value)
        return found if found != user else user

    def _person(self, value: str) -> str:
        if is_token(value) or value.endswith(EMAIL_DOMAIN) or self._tokens.allows(value):
            return value
        self._note("person", "name")
        return self._tokens.person(value)

    def _request(self, request: Request | None) -> Request | None:
        if request is None:
            return None
        changes: dict[str, Any] = {}
        for name in ("url", "query_string"):
            self._change(changes, name, getattr(request, name), self.text)
        for name in ("env", "data"):
            self._change(changes, name, getattr(request, name), self.value)
        for name, work in (("headers", self._headers), ("cookies", self._cookies)):
            part = getattr(request, name)
            self._change(
                changes, name, part, partial(self._once, work=work) if part.__class__ is Again else work
            )
        return request.model_copy(update=changes) if changes else request

    def _cookies(self, cookies: dict[str, str]) -> Any:
        return self.value(cookies, 2)

    def _headers(self, headers: dict[str, str]) -> dict[str, Any]:
        """Like any mapping; of a cookie header the names stay."""
        cookies = {name: value for name, value in headers.items() if name.lower() in ("cookie", "set-cookie")}
        found = self.value({name: value for name, value in headers.items() if name not in cookies})
        for name, value in cookies.items():
            hits: list[Hit] = []
            replaced = cookie_pairs(value, self._tokens, hits)
            for kind, rule in hits:
                self._at(name, self._note, kind, rule)
            found = {**found, name: replaced}
        return {name: found.get(name, value) for name, value in headers.items()} if cookies else found
