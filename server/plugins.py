"""Parts of others, found by their entry points: one group for each protocol.

An entry point names a class; it is called without arguments (a forge with the address of the repository), and what
comes of it carries the entry point's own name. One that does not load, or is not what its group promises, is said
(`nightdesk doctor`) and left out: a broken plug-in must not keep the night shift from its work. Loading one runs
its code in our process; the operator who installs a package decides that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fixloop import Forge, Sandbox, forges, sandboxes
from fixloop.agent.roles import Role
from fixloop.drill import Drill
from fixloop.fixers import Fixer
from fixloop.forges.rest import place_of
from fixloop.investigate import Investigator
from fixloop.models import Model
from store.errors import Unavailable
from store.git import without_credentials
from triage import Classifier, Format, Language, formats, languages

log = logging.getLogger("nightdesk.plugins")

PROTOCOLS: dict[str, type] = {
    "formats": Format, "languages": Language, "classifiers": Classifier,
    "fixers": Fixer, "sandboxes": Sandbox, "forges": Forge, "investigators": Investigator, "models": Model,
    "roles": Role, "drills": Drill,
}  # fmt: skip
_OWN = "nightdesk"  # our distribution: its entry points are the built-in parts


@dataclass(frozen=True)
class Plugin:
    """One entry point of somebody else. `make` is None where it cannot be used, `said` then says why."""

    group: str
    name: str
    distribution: str
    make: Any  # the class, or whatever makes the part
    said: str = ""


@cache
def found() -> tuple[Plugin, ...]:
    """Every plug-in that is installed, loaded; by group, then by name."""
    plugins = []
    for group, protocol in PROTOCOLS.items():
        points = {point for point in entry_points(group=f"nightdesk.{group}") if _of(point) != _OWN}
        plugins += [_loaded(group, protocol, point) for point in sorted(points, key=lambda each: each.name)]
    for plugin in plugins:
        if plugin.make is None:
            log.warning("The plug-in %s (%s) is left out: %s", plugin.name, plugin.group, plugin.said)
    return tuple(plugins)


def makers(group: str) -> list[Any]:
    """What makes the usable plug-ins of a group."""
    return [plugin.make for plugin in found() if plugin.group == group and plugin.make is not None]


def parts(group: str) -> list[Any]:
    """The usable plug-ins of a group, each made anew."""
    return [make() for make in makers(group)]


def plug_in() -> None:
    """Tell the rooms that look parts up by themselves which ones there are: formats and languages."""
    formats.plug(parts("formats"))
    languages.plug(parts("languages"))


def best_sandbox() -> Sandbox:
    """The first sandbox that holds on this machine, the built-in ones asked first; else one that refuses."""
    return sandboxes.best([*sandboxes.BUILT_IN, *parts("sandboxes")])


def forge(address: str, hosts: Mapping[str, str] | None = None) -> Forge:
    """The forge of a repository, by the address that it was connected with: of `hosts` (host to the name of a
    forge) the one that is named, else the first that takes it, plug-ins before ours. Raises Unavailable where none
    does."""
    kinds = [*makers("forges"), *forges.BUILT_IN]
    place = place_of(address)
    named = (hosts or {}).get(place.host) if place else None
    for kind in kinds:
        if kind.name == named if named else kind.takes(address):
            made: Forge = kind(address)
            return made
    what = f"There is no forge {named!r}" if named else f"No forge takes {without_credentials(address)}"
    raise Unavailable(
        f"{what}; drafts open in local repositories, on GitHub and on GitLab: name what a host of your own is with the "
        'setting forges = {"git.example.com" = "gitlab"}.'
    )


def missing(part: object, protocol: type) -> list[str]:
    """What the protocol asks for and the part, or the class that makes it, has not."""
    members = {name for name in vars(protocol) if not name.startswith("_")} | set(protocol.__annotations__)
    return sorted(name for name in members if not hasattr(part, name))


def _loaded(group: str, protocol: type, point: EntryPoint) -> Plugin:
    wanted = Plugin(group, point.name, _of(point), None)
    try:
        make = point.load()
        lacking = missing(make, protocol) if group == "forges" else missing(make(), protocol)
    except Exception as error:  # a stranger's code may fail in any way; the reason goes to the operator
        return _unusable(wanted, f"it cannot be loaded ({type(error).__name__}: {str(error)[:200]})")
    if lacking:
        return _unusable(wanted, f"it lacks {', '.join(lacking)} of the protocol {protocol.__name__}")
    if make.name.partition("@")[0] != point.name:
        return _unusable(wanted, f"it calls itself {make.name!r}, its entry point {point.name!r}")
    return Plugin(group, point.name, wanted.distribution, make)


def _unusable(wanted: Plugin, why: str) -> Plugin:
    return Plugin(
        wanted.group,
        wanted.name,
        wanted.distribution,
        None,
        f"{why}; upgrade or remove {wanted.distribution}.",
    )


def _of(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


def chosen(group: str, name: str, built_in: Sequence[Any]) -> Any | None:
    """The part of that name: a built-in one, else a plug-in, made anew; None where there is none."""
    everything = [*built_in, *parts(group)]
    return next((part for part in everything if part.name.partition("@")[0] == name), None)
