"""The chart for Kubernetes: rendered here, for `helm` is not to be had from a package registry, by as much of its
language as the chart uses; what comes out keeps the promises of the other files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cli import COMMANDS

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "nightdesk"
_WORD = re.compile(r'"[^"]*"|\S+')


class Chart:
    """Renders templates of one release."""

    def __init__(self, **changed: Any) -> None:
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        for path, value in changed.items():
            *places, last = path.split("__")
            found = values
            for place in places:
                found = found[place]
            assert last in found, path
            found[last] = value
        self._known = {"Values": values, "Release": {"Name": "night"}}

    def objects(self) -> dict[str, dict[str, Any]]:
        """What the templates give, by kind and name."""
        made = [
            yaml.safe_load(self.render(path.read_text())) for path in sorted(CHART.glob("templates/*.yaml"))
        ]
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in made if each}

    def render(self, template: str) -> str:
        """The text of a template."""
        said, shown, place = "", [True], 0
        for found in re.finditer(r"(?P<trim>\s*)\{\{(?P<dash>-?) (?P<action>.+?) \}\}", template):
            before = template[place : found.start()] + ("" if found["dash"] else found["trim"])
            said += before if all(shown) else ""
            place, action = found.end(), found["action"]
            if action.startswith("if "):
                shown.append(bool(self._piped(action[3:])))
            elif action == "else":
                shown[-1] = not shown[-1]
            elif action == "end":
                shown.pop()
            elif all(shown):
                said += str(self._piped(action))
        assert shown == [True], "an `if` without its `end`"
        return said + template[place:]

    def _piped(self, action: str) -> Any:
        value: list[Any] = []
        for call in action.split(" | "):
            name, *rest = _WORD.findall(call)
            value = [self._called(name, [*map(self._value, rest), *value])]
        return value[0]

    def _called(self, name: str, given: list[Any]) -> Any:
        match name:
            case "quote":
                return json.dumps(str(given[0]))
            case "add":
                return sum(given)
            case "printf":
                return given[0] % tuple(given[1:])
            case "toYaml":
                return yaml.safe_dump(given[0]).rstrip()
            case "nindent":
                return "".join(f"\n{' ' * given[0]}{line}" for line in given[1].splitlines())
        assert not given, f"{name} is not known here"
        return self._value(name)

    def _value(self, word: str) -> Any:
        if not word.startswith("."):
            return json.loads(word)
        found: Any = self._known
        for part in word[1:].split("."):
            assert part in found, f"{word} is not in the values"
            found = found[part]
        return found


def pod(chart: Chart, component: str) -> dict[str, Any]:
    spec: dict[str, Any] = chart.objects()[f"StatefulSet/night-{component}"]["spec"]["template"]["spec"]
    return spec


def environ(spec: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}


def test_the_chart_as_it_is_is_one_pod_on_sqlite() -> None:
    chart = Chart()
    objects = chart.objects()
    assert set(objects) == {"Service/night", "StatefulSet/night-server"}
    assert objects["StatefulSet/night-server"]["spec"]["replicas"] == 1
    assert "NIGHTDESK_DATABASE" not in environ(pod(chart, "server"))
    labels = objects["StatefulSet/night-server"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service/night"]["spec"]["selector"].items() <= labels.items()


def test_with_postgresql_there_are_workers_that_share_database_and_key_of_redaction() -> None:
    chart = Chart(database__secret="db", redaction__secret="key", workers__replicas=3)
    assert chart.objects()["StatefulSet/night-worker"]["spec"]["replicas"] == 3
    for component in ("server", "worker"):
        container = pod(chart, component)["containers"][0]
        named = {each["name"]: each for each in container["env"]}
        assert named["NIGHTDESK_DATABASE"]["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "url"}
        assert "/data/redaction.key" in [each["mountPath"] for each in container["volumeMounts"]]
        assert container["args"][0] in COMMANDS


@pytest.mark.parametrize("component", ["server", "worker"])
def test_no_pod_may_write_to_its_root_or_gain_anything_and_each_has_time_to_drain(component: str) -> None:
    spec = pod(Chart(database__secret="db"), component)
    container = spec["containers"][0]
    guarded = container["securityContext"]
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (10001, True)
    assert (guarded["readOnlyRootFilesystem"], guarded["allowPrivilegeEscalation"]) == (True, False)
    assert guarded["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > int(environ(spec)["NIGHTDESK_DRAIN_SECONDS"]) + 10
    assert {"memory"} <= set(container["resources"]["limits"])


def test_the_sandbox_has_what_it_is_made_of_and_without_it_the_pods_are_as_closed_as_any() -> None:
    with_it, without = pod(Chart(), "server"), pod(Chart(sandbox__enabled=False), "server")
    assert with_it["hostUsers"] is False
    assert with_it["containers"][0]["securityContext"]["procMount"] == "Unmasked"
    assert with_it["containers"][0]["securityContext"]["seccompProfile"]["type"] == "Localhost"
    assert "hostUsers" not in without
    assert without["containers"][0]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "procMount" not in without["containers"][0]["securityContext"]


def test_the_chart_says_the_version_of_the_program() -> None:
    said = yaml.safe_load((CHART / "Chart.yaml").read_text())
    program = (CHART.parents[2] / "pyproject.toml").read_text()
    assert said["appVersion"] == re.search(r'^version = "(.+)"$', program, re.M)[1]
    assert said["apiVersion"] == "v2"
