"""Preparing an application's dependencies. Those that install skip where nothing has the wheels."""

from __future__ import annotations

import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixloop import Job
from fixloop.running.environments import Environment, Environments, requirement_lines, satisfied_here
from fixloop.sandboxes import best
from store.errors import Unavailable

FLASK = f"flask=={importlib.metadata.version('flask')}"
OLD = "packaging==21.3\npyparsing==3.0.7\nsix==1.16.0\n"  # pure wheels, older than what pytest brings


STUBS = ("some.package==1.2.3",)


def ask_inside(environment: Environment, code: str) -> str:
    """Run code in the sandbox with this environment; what it prints."""
    sandbox = best()
    tested = sandbox.self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    env = {"PYTHONPATH": ":".join(environment.path)}
    result = sandbox.run(Job(argv=(environment.python, "-c", code), mounts=environment.mounts, env=env))
    assert result.stderr == b""
    return result.stdout.decode().strip()


def prepared(folder: Path, requirements: str, *stubs: str) -> Environment:
    try:
        return Environments(folder).prepare(requirements, stub_metadata=stubs)
    except Unavailable as unavailable:
        if unavailable.retry:
            pytest.skip(f"neither cached nor reachable: {unavailable}")
        raise


def test_comments_hashes_continuations_and_order_do_not_matter() -> None:
    text = (
        "six==1.16.0 \\\n  --hash=sha256:abc \\\n  --hash=sha256:def\n# a comment\n\nattrs==21.4.0  # why\n"
    )
    assert requirement_lines(text) == ("attrs==21.4.0", "six==1.16.0")


@pytest.mark.parametrize(
    "line", ["-e .", "--index-url x", "./local", "name @ file:///x", "git+https://x/y", "../up", "/abs"]
)
def test_what_would_build_code_outside_a_sandbox_is_refused(line: str) -> None:
    with pytest.raises(Unavailable, match="not_runnable"):
        requirement_lines(line)


def test_our_own_environment_serves_only_exact_pins_that_it_has() -> None:
    assert satisfied_here((FLASK,))
    assert satisfied_here(())
    assert not satisfied_here(("flask==0.0.1",))
    assert not satisfied_here(("flask>=1",))
    assert not satisfied_here((FLASK, "no-such-distribution==1"))


def test_pins_that_we_have_ourselves_need_no_installation_and_no_network(tmp_path: Path) -> None:
    environment = Environments(tmp_path).prepare(FLASK, allow_network=False)
    (site,) = environment.site_packages
    assert {"flask", "werkzeug"} <= {place.name for place in Path(site).iterdir()}
    assert not (Path(site) / "anthropic").exists()  # only what was asked for and what that requires
    assert any("own environment" in note for note in environment.notes)


@pytest.mark.sandbox
def test_our_own_environment_runs_inside_the_sandbox_with_pytest(tmp_path: Path) -> None:
    environment = Environments(tmp_path).prepare(FLASK, allow_network=False)
    assert ask_inside(environment, "import flask, pytest; print(flask.Flask.__name__)") == "Flask"


@pytest.mark.sandbox
def test_stub_metadata_answers_for_the_version_of_a_package_that_is_not_installed(tmp_path: Path) -> None:
    environment = Environments(tmp_path).prepare("", stub_metadata=STUBS, allow_network=False)
    code = "import importlib.metadata as m; print(m.version('some-package'))"
    assert ask_inside(environment, code) == "1.2.3"
    again = Environments(tmp_path).prepare("", stub_metadata=STUBS, allow_network=False)
    assert again == environment


def test_a_stub_without_a_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="name==version"):
        Environments(tmp_path).prepare("", stub_metadata=("package",))


def test_without_a_network_an_uncached_requirement_is_said_to_be_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        Environments(tmp_path).prepare("flask==0.0.0.0.1", allow_network=False)
    assert raised.value.retry
    assert "network" in str(raised.value)
    assert not list(tmp_path.glob("*/pyvenv.cfg"))


@pytest.mark.slow
@pytest.mark.sandbox
def test_the_applications_own_versions_win_over_what_pytest_brings(tmp_path: Path) -> None:
    environment = prepared(tmp_path, OLD, "unbuilt==3.1")
    code = (
        "import importlib.metadata as m, packaging, pytest\n"
        "print(packaging.__version__, m.version('unbuilt'), pytest.__file__.split('/')[-3])"
    )
    assert ask_inside(environment, code) == "21.3 3.1 tools"


@pytest.mark.slow
def test_a_prepared_environment_is_found_again_and_compiled_ahead(tmp_path: Path) -> None:
    environment = prepared(tmp_path, OLD)
    assert Environments(tmp_path).prepare(OLD, allow_network=False) == environment
    (site,) = environment.site_packages
    assert list(Path(site).glob("__pycache__/six.*.pyc"))
    assert not list(tmp_path.glob(".making-*"))


@pytest.mark.slow
def test_two_that_prepare_the_same_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda text: prepared(tmp_path, text), [OLD, OLD])
    assert first == second


@pytest.mark.slow
def test_a_python_that_is_not_installed_is_replaced_and_that_is_said(tmp_path: Path) -> None:
    environment = Environments(tmp_path).prepare("", python="3.99", allow_network=False)
    assert Path(environment.python).exists()
    assert any("3.99 is not installed" in note for note in environment.notes)


@pytest.mark.slow
def test_a_requirement_without_a_wheel_is_left_out_and_named(tmp_path: Path) -> None:
    try:
        environment = Environments(tmp_path).prepare("docopt==0.6.2")
    except Unavailable as problem:
        pytest.skip(f"not reachable: {problem}")
    assert any("docopt has no wheel here and was left out" in note for note in environment.notes)
