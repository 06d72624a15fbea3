"""The files that run Nightdesk elsewhere: they parse, say what exists, and keep the promises made of them.

No container engine is here to run them with; what needs one is said in docs/limits.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from server.cli import COMMANDS
from server.config import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NOT_SETTINGS = {"NIGHTDESK_DATA"}


@pytest.fixture
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", lines, re.M)
    assert stages
    assert all("slim" in image and ":latest" not in image for image in stages)
    assert re.search(r"^USER 10001:10001$", lines, re.M)
    assert lines.index("USER 10001") > lines.rindex("RUN ")
    assert "HEALTHCHECK" in lines
    assert "/readyz" in lines
    assert re.search(r'^CMD \["(\w+)"\]$', lines, re.M)[1] in COMMANDS
    assert "bubblewrap" in lines


def test_every_setting_that_a_file_sets_exists() -> None:
    files = [
        ROOT / "Dockerfile",
        ROOT / "compose.yaml",
        *(path for path in DEPLOY.rglob("*") if path.is_file()),
    ]
    named = {name for path in files for name in re.findall(r"NIGHTDESK_[A-Z_]+", path.read_text())}
    assert {name.removeprefix("NIGHTDESK_").lower() for name in named - NOT_SETTINGS} <= set(SETTINGS)
    assert "NIGHTDESK_DATABASE" in named


def test_one_service_is_the_default_and_the_profile_has_postgresql_and_two_workers(compose: dict) -> None:
    services = compose["services"]
    assert [name for name, each in services.items() if "profiles" not in each] == ["nightdesk"]
    assert {name for name, each in services.items() if each.get("profiles") == ["postgres"]} == {
        "server", "worker", "postgres",
    }  # fmt: skip
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["worker"]["command"][0] in COMMANDS


def test_no_service_of_ours_may_write_to_its_root_or_gain_anything(compose: dict) -> None:
    for name in ("nightdesk", "server", "worker"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert "privileged" not in service
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        (profile,) = (
            each.partition("=")[2] for each in service["security_opt"] if each.startswith("seccomp=")
        )
        assert (ROOT / profile).is_file()


def test_the_seccomp_profile_lets_namespaces_be_made_and_denies_what_reaches_the_machine() -> None:
    profile = json.loads((DEPLOY / "seccomp.json").read_text())
    denied = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ERRNO"}
    assert not denied & {
        "clone",
        "clone3",
        "unshare",
        "mount",
        "umount2",
        "pivot_root",
        "setns",
        "prctl",
        "seccomp",
    }
    assert {"init_module", "finit_module", "kexec_load", "bpf", "perf_event_open", "keyctl", "open_by_handle_at",
            "io_uring_setup", "userfaultfd", "reboot", "settimeofday"} <= denied  # fmt: skip


def test_the_units_are_taken_by_systemd_and_leave_time_to_drain() -> None:
    units = sorted((DEPLOY / "systemd").glob("*.service"))
    assert [unit.name for unit in units] == ["nightdesk-worker.service", "nightdesk.service"]
    for unit in units:
        said = unit.read_text()
        drain = int(re.search(r"NIGHTDESK_DRAIN_SECONDS=(\d+)", said)[1])
        assert int(re.search(r"TimeoutStopSec=(\d+)", said)[1]) > drain + 10
        assert "RestrictNamespaces=yes" not in said
        assert re.search(r"ExecStart=\S+ (\w+)", said)[1] in COMMANDS
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [
        line for line in done.stderr.splitlines() if ".service:" in line and "is not executable" not in line
    ]
    assert complaints == []


def test_the_proxies_balance_their_braces_and_keep_figures_and_streams_as_they_have_to() -> None:
    for name in ("nginx.conf", "Caddyfile"):
        said = re.sub(r"#.*", "", (DEPLOY / "proxy" / name).read_text())
        assert said.count("{") == said.count("}") > 0
        assert "127.0.0.1:8731" in said
        assert "/metrics" in said
    assert "proxy_buffering off" in (DEPLOY / "proxy" / "nginx.conf").read_text()


def test_the_real_nginx_takes_its_file(tmp_path: Path) -> None:
    nginx, openssl = shutil.which("nginx"), shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("no nginx here, or no openssl: install Debian's nginx-light to have its file checked")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=nightdesk", "-days", "1"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    said = (DEPLOY / "proxy" / "nginx.conf").read_text()
    said = said.replace("/etc/ssl/nightdesk.key", str(key)).replace(
        "/etc/ssl/nightdesk.pem", str(certificate)
    )
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = (
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; {folders}\n{said}\n}}"
    )
    (tmp_path / "nginx.conf").write_text(whole)
    done = subprocess.run(
        [nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_real_caddy_takes_its_file(tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("no Caddy here: install Debian's caddy to have its file checked")
    place = DEPLOY / "proxy" / "Caddyfile"
    done = subprocess.run(
        [caddy, "validate", "--config", place, "--adapter", "caddyfile"], capture_output=True, text=True, timeout=60,
        env={"HOME": str(tmp_path), "PATH": os.defpath}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
