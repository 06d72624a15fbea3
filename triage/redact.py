"""Secrets and personal data out of an event before anything is kept, each with an audit row.

Two rules: what a *name* says (`password`, `X-Api-Key`, `access_token`, at any depth, in texts and reprs)
and what a *shape* says (keys of known providers, JWTs, private keys, e-mail addresses, card numbers). The
same value becomes the same token under one project key. Running it twice changes nothing.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from store.event import Event, ExceptionValue, Frame, Redaction, Request
from triage import sensitive
from triage.detectors import QUOTED, Detector, Hit, cookie_pairs, detectors, secret_token, wanted
from triage.redaction_rules import NO_RULES, Rules, SchemaWalk
from triage.sensitive import looks_secret, name_strength
from triage.tagging import Tagger
from triage.tokens import EMAIL_DOMAIN, Tokens, is_token

AUDIT_LIMIT = 1000  # rows of one event; beyond it values are still taken out
# What became of a text is remembered: names, paths, headers and lines of source come with each event again.
KNOWN_TEXTS, KNOWN_LENGTH = 20_000, 400
SEEN_PARTS = 1024  # frames and tables of modules that are known again by identity (`formats.sentry_json`)
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
        self._detectors = detectors(rules)
        self._seen = Seen()
        self._chosen: dict[str, list[Detector]] = {}  # which detectors have to read a text that came before
        self._read: dict[tuple[str, bool], Reading] = {}  # and what they found in it; of source or not
        self._schemas = {part: SchemaWalk(schema) for part, schema in rules.schemas.items()}

    def redact(self, event: Event) -> Event:
        """The same event without secrets and personal data; `redactions` says where something was."""
        tagger = Tagger(self._tokens, self._schemas) if self._schemas else None
        told = tagger.event(event) if tagger else event
        texts = _Texts(told, self._seen)
        clean = self._walk(texts.all, texts).event(told)
        if tagger is None or not tagger.rows:
            return clean
        return clean.model_copy(update={"redactions": (*tagger.rows, *clean.redactions)})

    def text(self, value: str) -> str:
        """One text by itself."""
        return self._walk([value]).text(value)

    def _walk(self, texts: list[str], parts: _Texts | None = None) -> _Walk:
        for known in (self._chosen, self._read):
            if len(known) > KNOWN_TEXTS:
                known.clear()
        return _Walk(
            self._tokens, self._rules, self._detectors, self._wanted(texts), parts, self._seen, self._read
        )

    def _wanted(self, texts: list[str]) -> dict[str, list[Detector]]:
        """`wanted`, which looks only at what did not come before."""
        found, chosen, new = {}, self._chosen, []
        for text in texts:
            known = chosen.get(text)
            if known:
                found[text] = known
            elif known is None:
                new.append(text)
        if new:
            wants = wanted(new, self._detectors)
            found |= wants
            chosen.update((text, wants.get(text, [])) for text in new if len(text) <= KNOWN_LENGTH)
        return found


def redact(event: Event, key: bytes, rules: Rules = NO_RULES) -> Event:
    """`Redactor(key, rules).redact(event)`."""
    return Redactor(key, rules).redact(event)


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


class _Texts:
    """Every text of an event, names included, and which of them are inside of which part. Of parts that were seen
    before there are none."""

    def __init__(self, event: Event, seen: Seen) -> None:
        self.all: list[str] = []
        self.seen: dict[int, tuple[Any, tuple[Redaction, ...]]] = {}
        self._spans: dict[int, tuple[int, int]] = {}  # by identity: the event outlives this
        for part in _repeated(event):
            if (found := seen.get(part)) is not None:
                self.seen[id(part)] = found
        self._collect(event.__dict__)

    def inside(self, part: object) -> list[str] | None:
        """The texts of a model or mapping of the event; None for anything else."""
        span = self._spans.get(id(part))
        return None if span is None else self.all[span[0] : span[1]]

    def _collect(self, value: Any) -> None:
        texts = self.all
        start = len(texts)
        if isinstance(value, str):
            texts.append(value)
        elif id(value) in self.seen:
            return
        elif isinstance(value, dict):
            for key, item in value.items():
                texts.append(key)
                if isinstance(item, str):
                    texts.append(item)
                elif item is not None:
                    self._collect(item)
            self._spans[id(value)] = (start, len(texts))
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, str):
                    texts.append(item)
                else:
                    self._collect(item)
        elif isinstance(value, BaseModel):
            self._collect(value.__dict__)
            self._spans[id(value)] = (start, len(texts))
        elif isinstance(value, int) and value > LONG_NUMBER:
            texts.append(str(value))


def _repeated(event: Event) -> Iterator[object]:
    """The parts that come again, the very same, with other events."""
    for raised in event.exceptions:
        yield from raised.frames
    if (modules := event.contexts.get("modules")) is not None:
        yield modules


class _Walk:
    """One pass over one event."""

    def __init__(
        self,
        tokens: Tokens,
        rules: Rules,
        every: list[Detector],
        wanted: dict[str, list[Detector]],
        parts: _Texts | None,
        seen: Seen,
        known: dict[tuple[str, bool], Reading],
    ) -> None:
        self._seen, self._known = seen, known
        self._long: dict[tuple[str, bool], Reading] = {}  # known for this event only
        self._tokens = tokens
        self._rules = rules
        self._every = every
        self._rows: list[Redaction] = []
        self._path: list[str] = []
        self._wanted = wanted
        self._parts = parts

    def _quiet(self, part: object) -> bool:
        """Whether nothing in a part of the event may have to go: a telling name would be among the wanted texts."""
        texts = self._parts.inside(part) if self._parts is not None else None
        return texts is not None and self._wanted.keys().isdisjoint(texts)

    def _once(self, part: Any, work: Callable[[Any], Any]) -> Any:
        """What becomes of a part of the event that may come again: found out once."""
        found = self._parts.seen.get(id(part)) if self._parts is not None else None
        if found is not None:
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
        first = self._wanted.get(value)
        if first is None or len(value) < 6:
            return value
        known = self._known if len(value) <= KNOWN_LENGTH else self._long
        found = known.get((value, source))
        if found is None:
            found = known[(value, source)] = self._read(value, first, source)
        for kind, rule in found[1]:
            self._note(kind, rule)
        return found[0]

    def _read(self, value: str, chosen: list[Detector], source: bool) -> Reading:
        """The text without what the detectors find, again and again until they find nothing more."""
        hits: list[Hit] = []
        for _ in range(ROUNDS):
            before = value
            for detector in chosen:
                value = detector.replace(value, self._tokens, hits, source)
            if value == before:
                break
            chosen = wanted([value], self._every).get(value, [])
        return value, hits

    # --- structures ---

    def value(self, value: Any, strength: int = 0) -> Any:
        """Any JSON value under a name of the given strength; the same object where nothing was found."""
        if isinstance(value, str):
            return self._named(value, strength) if strength else self.text(value)
        if isinstance(value, dict):
            return self._mapping(value, strength)
        if isinstance(value, list | tuple):
            found = [self._at(str(place), self.value, item, strength) for place, item in enumerate(value)]
            return value if all(new is old for new, old in zip(found, value, strict=True)) else found
        if isinstance(value, bool) or value is None:
            return value
        if strength == 2 and isinstance(value, int | float):
            self._note("secret", "name")
            return self._tokens.secret(str(value))
        if isinstance(value, int) and value > LONG_NUMBER and sensitive.is_card(str(value)):
            self._note("card", "shape:card")
            return int(self._tokens.card(str(value)))
        return value

    def _mapping(self, value: dict[str, Any], strength: int) -> dict[str, Any]:
        if not strength and self._quiet(value):
            return value
        found: dict[str, Any] = {}
        changed = False
        for key, item in value.items():
            own = self._strength(key)
            plain = isinstance(item, str) and not strength and not own
            if plain and item not in self._wanted and key not in self._wanted:
                found[key] = item
                continue
            name = self.text(key)
            new = self._at(key, self.value, item, max(strength, own))
            changed = changed or new is not item or name != key
            found[name] = new
        return found if changed else value

    def _strength(self, key: str) -> int:
        return 0 if key.lower() in self._rules.allow_names else name_strength(key)

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
        try:
            return work(*arguments)
        finally:
            self._path.pop()

    def _note(self, kind: str, rule: str) -> None:
        if len(self._rows) < AUDIT_LIMIT:
            self._rows.append(Redaction(pointer=self._pointer()[:500], kind=kind, rule=rule))

    def _pointer(self) -> str:
        return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in self._path)

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
        if not lines or self._wanted.keys().isdisjoint(lines):
            return lines
        key_block = source and any("PRIVATE KEY-----" in line for line in lines)
        return tuple(
            self._at(str(place), self._line, line, source, key_block) for place, line in enumerate(lines)
        )

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
        if self._quiet(frame):
            return frame
        changes: dict[str, Any] = {}
        for name in (
            "function",
            "filename",
            "abs_path",
        ):  # arguments in Elixir, addresses with queries in browsers
            if (said := getattr(frame, name)) in self._wanted:
                self._change(changes, name, said, self.text)
        if frame.vars:
            self._change(changes, "vars", frame.vars, self.value)
        if frame.context_line:
            self._change(
                changes, "context_line", frame.context_line, lambda line: self.text(line, source=True)
            )
        for name in ("pre_context", "post_context"):
            self._change(changes, name, getattr(frame, name), lambda lines: self._strings(lines, source=True))
        return frame.model_copy(update=changes) if changes else frame

    def _breadcrumbs(self, crumbs: tuple[Any, ...]) -> tuple[Any, ...]:
        found = tuple([self._at(str(place), self._crumb, crumb) for place, crumb in enumerate(crumbs)])
        return crumbs if all(map(operator.is_, found, crumbs)) else found

    def _crumb(self, crumb: Any) -> Any:
        if self._quiet(crumb):
            return crumb
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
        for name in ("headers", "env", "data"):
            self._change(
                changes, name, getattr(request, name), self._headers if name == "headers" else self.value
            )
        self._change(changes, "cookies", request.cookies, lambda cookies: self.value(cookies, 2))
        return request.model_copy(update=changes) if changes else request

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
