"""Code owners files as forges read them: the last line that matches decides."""

from __future__ import annotations

import pytest

from server.knowing.owners import code_owners

FILE = """
# who looks after what
*                 @acme/all
*.js              @acme/web  # inline
/build/logs/      ops@example.com
docs/*            docs@example.com
apps/             @octo
/scripts/**/x.py  @deep
/src/rates.py     @rates @tax
/src/generated/
[Section] @section-default
^[Optional]
**/logs           @logs
with\\ space.py    @space
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("README.md", ("@acme/all",)),
        ("web/app.js", ("@acme/web",)),
        ("build/logs/today.txt", ("@logs",)),
        ("docs/start.md", ("docs@example.com",)),
        ("docs/deep/start.md", ("@acme/all",)),
        ("deep/apps/one.py", ("@octo",)),
        ("scripts/x.py", ("@deep",)),
        ("scripts/a/b/x.py", ("@deep",)),
        ("src/rates.py", ("@rates", "@tax")),
        ("other/src/rates.py", ("@acme/all",)),
        ("src/generated/a.py", ()),
        ("deep/logs/a.txt", ("@logs",)),
        ("with space.py", ("@space",)),
    ],
)
def test_the_last_matching_line_of_a_code_owners_file_names_the_owners(
    path: str, owners: tuple[str, ...]
) -> None:
    assert code_owners(FILE, path) == owners


def test_a_path_that_no_line_matches_has_no_owner() -> None:
    assert code_owners("/src/ @a\n", "lib/x.py") == ()
    assert code_owners("", "lib/x.py") == ()
