"""Settings: where the folder is, where a value comes from, and what an unknown key is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import SETTINGS, BadConfiguration, Config, data_folder, load
from server.knowing.repository_part import RepositoryPart, detect, parse


def test_a_value_knows_whether_it_is_a_default_a_file_entry_an_environment_variable_or_an_option(
    tmp_path: Path,
) -> None:
    (tmp_path / "nightdesk.toml").write_text("port = 9000\nruns = 50\ndraft_cap = 1\n")
    config = load(
        tmp_path, {"NIGHTDESK_RUNS": "60", "NIGHTDESK_DRAFT_CAP": "2"}, {"draft_cap": 4, "host": None}
    )
    assert (config.port, config.runs, config.draft_cap, config.host) == (9000, 60, 4, "127.0.0.1")
    assert [config.source(name) for name in ("data", "port", "runs", "draft_cap", "host")] == [
        "--data", "nightdesk.toml", "environment", "command line", "default",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "environ", "said"),
    [
        ("prot = 1", {}, "Unknown setting 'prot' (nightdesk.toml); did you mean 'port'?"),
        (
            "",
            {"NIGHTDESK_DRAFTCAP": "1"},
            "Unknown setting 'draftcap' (environment); did you mean 'draft_cap'?",
        ),
        ("data = 'x'", {}, "Unknown setting 'data' (nightdesk.toml); did you mean 'database'?"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_known_one(
    tmp_path: Path, toml: str, environ: dict[str, str], said: str
) -> None:
    (tmp_path / "nightdesk.toml").write_text(toml)
    with pytest.raises(BadConfiguration) as caught:
        load(tmp_path, environ)
    assert str(caught.value) == said


@pytest.mark.parametrize("toml", ["port = 70000", "drafts = 'sometimes'", "port = [", "runs = 0"])
def test_a_value_that_cannot_be_used_is_one_sentence_that_names_its_place(tmp_path: Path, toml: str) -> None:
    (tmp_path / "nightdesk.toml").write_text(toml)
    with pytest.raises(BadConfiguration, match=r"nightdesk\.toml") as caught:
        load(tmp_path, {})
    assert "\n" not in str(caught.value)


def test_the_data_folder_is_the_option_then_the_variable_then_the_one_here_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"NIGHTDESK_DATA": str(tmp_path / "named"), "XDG_DATA_HOME": str(tmp_path / "xdg")}
    assert data_folder(Path("given"), environ)[0] == tmp_path / "given"
    assert data_folder(None, environ)[0] == tmp_path / "named"
    monkeypatch.setattr("sys.platform", "linux")
    del environ["NIGHTDESK_DATA"]
    assert data_folder(None, environ)[0] == tmp_path / "xdg" / "nightdesk"
    (tmp_path / ".nightdesk").mkdir()
    assert data_folder(None, environ)[0] == tmp_path / ".nightdesk"


def test_every_setting_is_documented() -> None:
    assert all(Config.model_fields[name].description for name in SETTINGS)
    assert all(field.description for field in RepositoryPart.model_fields.values())


def test_drafts_open_by_themselves_for_local_git_and_ask_for_a_remote_forge_unless_set(
    tmp_path: Path,
) -> None:
    config = load(tmp_path, {})
    assert (config.draft_policy(remote=False), config.draft_policy(remote=True)) == ("proven", "ask")
    assert load(tmp_path, {"NIGHTDESK_DRAFTS": "never"}).draft_policy(remote=False) == "never"


def test_what_a_repository_does_not_say_is_detected_and_what_it_says_stays() -> None:
    files = {
        "pyproject.toml": '[project]\nrequires-python = ">=3.12"\n[tool.ruff]\n[tool.mypy]\n',
        "requirements.txt": "flask==3.1\n", "requirements-dev.txt": "pytest\n", "src/shop/__init__.py": "",
        "tests/test_shop.py": "", "AGENTS.md": "", "docs/runbooks/db.md": "",
    }  # fmt: skip
    part = detect(list(files), files.get, parse('lint = "make lint"\npath_map = {"/app" = "."}\n'))
    assert part.python == "3.12"
    assert part.requirements == ("requirements-dev.txt", "requirements.txt")
    assert part.source_roots == ("src",)
    assert (part.test, part.lint, part.types) == ("python -m pytest -q", "make lint", "mypy .")
    assert part.conventions == ("AGENTS.md",)
    assert part.runbooks == ("docs/runbooks/db.md",)
    assert part.path_map == {"/app": "."}


def test_a_repositorys_unknown_key_is_named_too() -> None:
    with pytest.raises(BadConfiguration, match="did you mean 'requirements'"):
        parse("requirement = ['a.txt']", "shop/.nightdesk.toml")


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "http://127.0.0.1:8731"), ("::", "http://[::1]:8731"), ("10.0.0.7", "http://10.0.0.7:8731")],  # noqa: S104
)
def test_a_server_that_listens_everywhere_is_named_by_an_address_that_one_can_go_to(
    tmp_path: Path, host: str, shown: str
) -> None:
    assert load(tmp_path, {"NIGHTDESK_HOST": host}).address == shown
    assert (
        load(tmp_path, {"NIGHTDESK_HOST": host, "NIGHTDESK_PUBLIC_URL": "https://n.example"}).address
        == "https://n.example"
    )
