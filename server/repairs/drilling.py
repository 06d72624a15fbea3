"""The sources that an investigation may drill into here: those of the settings, and plug-ins."""

from __future__ import annotations

from fixloop.drill import Drill
from fixloop.drill.prometheus import Prometheus
from fixloop.tools import Tool
from server import plugins
from server.house import House


def drills(house: House) -> list[Tool]:
    """The tools of every source, the built-in ones first; of two of the same name the first counts."""
    sources: list[Drill] = [Prometheus(house.config.prometheus)] if house.config.prometheus else []
    found: dict[str, Tool] = {}
    for source in (*sources, *plugins.parts("drills")):
        for tool in source.tools():
            found.setdefault(tool.name, tool)
    return list(found.values())
