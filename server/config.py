"""The settings of one installation: one model, every field documented, every value knows where it came from.

The order, later wins: the default, ``nightdesk.toml`` in the data folder, ``NIGHTDESK_…`` in the environment,
the command line. An unknown key is an error that names the nearest known one, because a mistyped limit that
is silently ignored is a limit that does not exist.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from server.quiet import quiet_of
from store.errors import NightdeskError
from store.notices import Telling

DraftPolicy = Literal["proven", "ask", "never"]

_PREFIX = "NIGHTDESK_"
_FILE = "nightdesk.toml"
_NOT_SETTINGS = frozenset(
    {
        "NIGHTDESK_DATA",
        "NIGHTDESK_DSN",
        "NIGHTDESK_TOKEN",
        "NIGHTDESK_SHARED",
        "NIGHTDESK_TEST_CLIENTS",
        "NIGHTDESK_TEST_PROMETHEUS",
        "NIGHTDESK_TEST_CHROMIUM",
        "NIGHTDESK_SCREENSHOTS",
        "NIGHTDESK_GITHUB_TOKEN",
        "NIGHTDESK_GITLAB_TOKEN",
        "NIGHTDESK_URL",
        "NIGHTDESK_INCIDENT",
        "NIGHTDESK_KIND",
        "NIGHTDESK_PROJECT",
        "NIGHTDESK_PUSH_TOKEN",
    }
)  # the folder, senders, assistants, the tests, forges, pipelines


class BadConfiguration(NightdeskError):
    """A setting is unknown or has a value that cannot be used."""


class Config(BaseModel):
    """One installation. Sizes are bytes, times are seconds unless a field says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(description="The data folder: everything Nightdesk keeps is in here.")
    database: str = Field(
        default="",
        description="Database URL: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. Empty: `sqlite:///` and "
        "`nightdesk.sqlite` in the data folder.",
    )
    host: str = Field(default="127.0.0.1", description="Address that `serve` listens on.")
    port: int = Field(
        default=8731, ge=0, le=65535, description="Port that `serve` listens on; 0 takes a free one."
    )
    public_url: str = Field(
        default="", description="How senders and browsers reach the server. Empty: `http://HOST:PORT`."
    )
    drafts: DraftPolicy | None = Field(
        default=None,
        description="When a draft opens by itself: `proven`, `ask` or `never`. "
        "Unset: `proven` for a local git repository, `ask` for a remote forge.",
    )
    forges: dict[str, str] = Field(
        default_factory=dict,
        description='Which forge a host of your own is: `{"git.example.com" = "gitlab"}` or `"github"`.',
    )
    draft_cap: int = Field(
        default=3, ge=0, description="Open drafts a repository may have before Nightdesk asks."
    )
    min_users: int = Field(
        default=5,
        ge=1,
        description="Users an incident known only from public keys must touch before a repair.",
    )
    max_body: int = Field(default=20 << 20, ge=1024, description="Largest request body as sent, in bytes.")
    max_inflated: int = Field(
        default=50 << 20, ge=1024, description="Largest request body once inflated, in bytes."
    )
    max_waiting: int = Field(
        default=128,
        ge=1,
        description="Requests from senders taken at the same time; more are told to come back.",
    )
    quota: int = Field(
        default=0,
        ge=0,
        description="Events a minute that one project may send, to all processes together; 0 sets no limit.",
    )
    key_quota: int = Field(
        default=0, ge=0, description="Events a minute that may come with one key; 0 sets no limit."
    )
    min_free: int = Field(
        default=128 << 20,
        ge=0,
        description="Bytes of the disk that are held back: with less free, senders are told to come back.",
    )
    classifier: str = Field(
        default="learned",
        description="What tells signal from noise: `learned` (rules and the embedded model), `rules`, or the "
        "name of a plug-in.",
    )
    redaction_rules: str = Field(
        default="",
        description="File with what the team adds to redaction: schemas, dictionary, allow-list, addresses. "
        "Empty: `redaction.json` in the data folder, if it is there.",
    )
    runs: int = Field(
        default=200, ge=1, description="How often a reproducer runs to find out whether it is flaky."
    )

    repair_seconds: float = Field(
        default=900.0, gt=0, description="Time that one repair of one incident may take, in seconds."
    )

    notify: tuple[str, ...] = Field(
        default=(),
        description="Where people are told: addresses of apprise, as `slack://…`, `mailto://…`, `msteams://…`.",
    )
    notify_about: tuple[str, ...] = Field(
        default=("focus", "proven", "recurrence"),
        description="What is told: `focus` (an incident came into focus), `proven` (a fix is proven), `recurrence` "
        "(a resolved one is back). Noise never is.",
    )
    quiet_hours: str = Field(
        default="",
        description="When people are left alone: `22:00-07:00`, with a time zone if it is not UTC's "
        "(`22:00-07:00 Europe/Berlin`). What happens meanwhile comes as one message afterwards.",
    )
    digest_minutes: int = Field(
        default=0,
        ge=0,
        le=1440,
        description="Collect what is to be told for so many minutes into one message; 0: each comes by itself.",
    )
    webhooks: tuple[str, ...] = Field(
        default=(),
        description="Addresses that get each notice as signed JSON at once; also GitHub's `…/dispatches` and GitLab's "
        "`…/trigger/pipeline`.",
    )
    webhook_secret: str = Field(
        default="", description="With what outgoing webhooks are signed; empty: the first key of the project."
    )

    model: str = Field(
        default="claude-sonnet-5-5",
        description="Model that is asked where `ANTHROPIC_API_KEY` is set (`ANTHROPIC_BASE_URL` is respected). "
        "Without a key none is asked, and everything works.",
    )
    model_from: str = Field(
        default="anthropic",
        description="What speaks to the model: `anthropic`, a plug-in of the group `nightdesk.models`, or `none`.",
    )
    model_triage: bool = Field(
        default=True,
        description="Whether a model, where there is one, summarises each triage and gives a second opinion, which may "
        "raise an incident's lane and never lower it.",
    )
    model_tokens: int = Field(default=400_000, ge=0, description="Tokens that one repair may use.")
    model_money: float = Field(default=2.0, ge=0, description="US dollars that one repair may use.")
    model_requests: int = Field(
        default=60, ge=0, description="Requests to the model that one repair may make."
    )
    model_minutes: float = Field(
        default=10.0, ge=0, description="Minutes that one repair may wait for the model."
    )
    model_day_tokens: int = Field(
        default=4_000_000, ge=0, description="Tokens of all repairs of a day (UTC)."
    )
    model_day_money: float = Field(
        default=20.0, ge=0, description="US dollars of all repairs of a day (UTC)."
    )
    model_price_in: float = Field(
        default=5.0,
        ge=0,
        description="US dollars for a million tokens read; what is cached counts by its share.",
    )
    model_price_out: float = Field(default=25.0, ge=0, description="US dollars for a million tokens written.")

    logs: dict[str, str] = Field(
        default_factory=dict,
        description='Log files (access logs, too) by project: `{"shop" = "/var/log/shop/access.log"}`. Lines near a '
        "failure are read from their end, redacted, and become evidence; nothing is written.",
    )
    prometheus: str = Field(
        default="", description="Address of a Prometheus server that may be asked for metrics; read only."
    )
    repairs_per_repository: int = Field(
        default=2, ge=1, description="Repairs of one repository at the same time, over all workers."
    )
    repair_minutes_per_day: float = Field(
        default=0.0,
        ge=0,
        description="Time that the repairs of one repository may take in 24 hours, in minutes; more wait. 0: no bound.",
    )
    drain_seconds: float = Field(
        default=5.0,
        ge=0,
        le=600,
        description="Time that a worker which is told to end gives the step it is in, in seconds. What is not done by "
        "then goes on elsewhere at that step.",
    )
    sync_minutes: float = Field(
        default=15.0,
        ge=0,
        description="How often mirrors fetch what is new, in minutes. 0: only when asked to.",
    )
    retention_days: int = Field(
        default=0, ge=0, description="Days after which events are taken away; incidents stay. 0: never."
    )

    watch_itself: bool = Field(
        default=True,
        description="Whether crashes of Nightdesk itself are kept as events of a project `nightdesk`, on this machine.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines on standard error: `text`, or `json` with one object a line."
    )

    oidc_issuer: str = Field(
        default="",
        description="Address of an OpenID Connect provider by which people log in, too.",
    )
    oidc_client: str = Field(default="", description="What the provider calls this server (client id).")
    oidc_secret: str = Field(
        default="", description="The secret that goes with it; empty for a public client."
    )
    oidc_claim: str = Field(
        default="email",
        description="What people are known by: `email`, `preferred_username`, `sub` or another claim.",
    )
    proxy_header: str = Field(
        default="",
        description="Header in which a proxy in front of this server names whoever it has let in (`X-Forwarded-User`); "
        "it has to take it out of what browsers send. Nobody is the operator by being at this machine then.",
    )
    proxy_addresses: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"),
        description="From where that proxy connects; the header counts from nowhere else.",
    )
    sign_on_role: Literal["", "viewer", "responder", "admin"] = Field(
        default="",
        description="Role of somebody whom the provider or the proxy vouches for and nobody has added: `viewer`, "
        "`responder`, `admin`. Empty: they stay out.",
    )
    client_documents: bool = Field(
        default=True,
        description="Whether the description that an assistant's client id points to is fetched, when a person who is "
        "logged in connects it. Those of Claude Code and Codex are built in and never fetched.",
    )

    sources: Mapping[str, str] = Field(
        default_factory=dict,
        exclude=True,
        description="Where each value came from: set by `load`, not a setting.",
    )

    @field_validator("notify", "notify_about", "webhooks", "proxy_addresses", mode="before")
    @classmethod
    def _words(cls, given: object) -> object:
        """In the environment it is text: addresses with blanks between them."""
        return given.split() if isinstance(given, str) else given

    @field_validator("notify_about")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        known = [kind.value for kind in Telling]
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"there is no {unknown[0]!r}; there are {', '.join(known)}")
        return given

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, given: str) -> str:
        """What it says is believed, so nobody in between may say it."""
        split = urlsplit(given)
        if given and split.scheme != "https" and split.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("a provider is reached by https")
        return given

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, given: str) -> str:
        quiet_of(given)
        return given

    @field_validator("forges", "logs", mode="before")
    @classmethod
    def _pairs_as_text(cls, given: object) -> object:
        """In the environment it is text: `git.example.com=gitlab,code.example.com=github`."""
        if not isinstance(given, str):
            return given
        pairs = (part.partition("=") for part in given.split(",") if part.strip())
        return {host.strip(): kind.strip() for host, _, kind in pairs}

    def source(self, name: str) -> str:
        """Where the value of a setting came from, in words."""
        return self.sources.get(name, "default")

    @property
    def database_url(self) -> str:
        """The database to open, with the default filled in."""
        return self.database or f"sqlite:///{self.data / 'nightdesk.sqlite'}"

    @property
    def database_shown(self) -> str:
        """The database to open, without its password."""
        return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", self.database_url)

    @property
    def address(self) -> str:
        """The URL under which senders and browsers reach this server, without a slash at the end. Where it listens
        everywhere and nobody has said its name: from this machine."""
        named = _HERE.get(self.host, self.host)
        host = f"[{named}]" if ":" in named else named
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    def draft_policy(self, *, remote: bool) -> DraftPolicy:
        """The policy for a repository that has none of its own."""
        return self.drafts or ("ask" if remote else "proven")


_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what every address of this machine answers to
SECRETS = frozenset(
    {"notify", "webhooks", "webhook_secret", "oidc_secret"}
)  # their values are shown to nobody
SETTINGS = tuple(name for name in Config.model_fields if name not in {"data", "sources"})


def data_folder(given: Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[Path, str]:
    """The data folder and how it was chosen: ``--data``, ``$NIGHTDESK_DATA``, ``./.nightdesk``, the user's
    own."""
    env = os.environ if environ is None else environ
    if given is not None:
        return given.expanduser().absolute(), "--data"
    if named := env.get("NIGHTDESK_DATA"):
        return Path(named).expanduser().absolute(), "NIGHTDESK_DATA in the environment"
    if (here := Path.cwd() / ".nightdesk").is_dir():
        return here, "./.nightdesk"
    return _user_folder(env), "the user's data folder"


def _user_folder(env: Mapping[str, str]) -> Path:
    """Where this platform keeps an application's files for one user."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "nightdesk"
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nightdesk"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "nightdesk"


def load(
    data: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The settings in force. `overrides` are command-line options; None among them means "not given".

    Raises BadConfiguration with one sentence for an unknown key, a value of the wrong kind or a file that is
    not TOML.
    """
    env = os.environ if environ is None else environ
    folder, chosen_by = data_folder(data, env)
    values: dict[str, Any] = {"data": folder}
    sources = {"data": chosen_by}
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (_FILE, read_toml(folder / _FILE)),
        ("environment", _from_environment(env)),
        ("command line", {key: value for key, value in (overrides or {}).items() if value is not None}),
    ]
    for source, layer in layers:
        refuse_unknown(layer, SETTINGS, source)
        values.update(layer)
        sources.update(dict.fromkeys(layer, source))
    try:
        return Config.model_validate({**values, "sources": sources})
    except ValidationError as error:
        raise BadConfiguration(first_problem(error, sources)) from error


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary; empty where there is no such file. Raises BadConfiguration."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadConfiguration(f"{path} cannot be read as TOML: {error}.") from error


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise BadConfiguration for the first key that is not known, naming the nearest one that is."""
    names = sorted(known)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
            raise BadConfiguration(f"Unknown setting {key!r} ({where}); did you mean {near[0]!r}?")


def first_problem(error: ValidationError, sources: Mapping[str, str]) -> str:
    """The first complaint of a validation in one sentence, with the place where the value was set."""
    problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    if name in SECRETS:
        return f"Setting {name!r} ({sources.get(name, 'settings')}) cannot be used: {problem['msg']}."
    where = sources.get(name, "settings")
    return f"Setting {name!r} ({where}) cannot be {problem['input']!r}: {problem['msg']}."


def _from_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Every ``NIGHTDESK_…`` variable as a setting's name and text."""
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in env.items()
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS
    }
