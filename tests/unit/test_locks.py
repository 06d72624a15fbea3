"""Locks in the spellings that tools write; what is no exact pin says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.knowing.locks import Pin, canonical, pins

SHA = "4f1c2d3e" * 5
UV = f"""
version = 1
[[package]]
name = "acme-rates"
version = "1.4.2"
source = {{ registry = "https://packages.example/simple" }}
[[package]]
name = "Acme.Tax"
version = "0.3.0"
source = {{ git = "https://git.example/acme/tax.git?rev=main#{SHA}" }}
[[package]]
name = "shop"
version = "0.1.0"
source = {{ editable = "." }}
"""
POETRY = f"""
[[package]]
name = "acme_rates"
version = "1.4.2"
[[package]]
name = "acme-tax"
version = "0.3.0"
[package.source]
type = "git"
url = "https://git.example/acme/tax.git"
reference = "main"
resolved_reference = "{SHA}"
"""
REQUIREMENTS = f"""
# made by a tool
--index-url https://packages.example/simple
Acme_Rates[fast]==1.4.2 ; python_version >= "3.9" \\
    --hash=sha256:{"0" * 64}
acme-tax @ git+https://git.example/acme/tax.git@{SHA}
-e git+ssh://git@git.example/acme/labels.git@v2.0#egg=acme-labels
loose>=1.0
requests
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [("uv.lock", UV), ("api/poetry.lock", POETRY), ("requirements.txt", REQUIREMENTS)],
)
def test_a_version_and_a_git_revision_are_read_from_every_kind_of_lock(path: str, text: str) -> None:
    found = pins(path, text)
    assert found["acme-rates"] == Pin(version="1.4.2")
    assert found["acme-tax"].revision == SHA


def test_own_packages_ranges_and_bare_names_are_no_pins() -> None:
    assert "shop" not in pins("uv.lock", UV)
    assert set(pins("requirements-dev.txt", REQUIREMENTS)) == {"acme-rates", "acme-tax", "acme-labels"}
    assert pins("requirements.txt", REQUIREMENTS)["acme-labels"] == Pin(revision="v2.0")


@pytest.mark.parametrize("path", ["uv.lock", "poetry.lock", "requirements.txt"])
@given(
    text=st.text(max_size=200)
    | st.sampled_from(["package = 3", "[[package]]\nname = 3", '[package]\nname="x"'])
)
def test_whatever_stands_in_a_lock_reading_it_never_fails(path: str, text: str) -> None:
    assert all(name == canonical(name) for name in pins(path, text))
