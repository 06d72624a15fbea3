"""Taking the blocks of an old change out of a newer text."""

from __future__ import annotations

from fixloop.blocks import parse, unified
from fixloop.reverting import put_back, take_out

_BEFORE = 'def name_of(record):\n    """The name."""\n    return record["name"]\n'
_CHANGED = _BEFORE.replace('record["name"]', 'record.get("full_name")')


def _taken_out(release: str) -> dict[str, str | None] | None:
    blocks = parse(unified({"fields.py": _BEFORE}, {"fields.py": _CHANGED}, context=0))
    return take_out(blocks, blocks, {"fields.py": _CHANGED}.get, {"fields.py": release}.get, {})


def test_a_block_comes_out_where_its_function_was_changed_and_has_a_new_neighbour() -> None:
    hinted = _CHANGED.replace("(record)", "(record: dict[str, str])")
    neighbour = "\n\ndef year_of(record):\n    return record['year']\n"
    expected = hinted.replace('record.get("full_name")', 'record["name"]') + neighbour
    assert _taken_out(hinted + neighbour) == {"fields.py": expected}


def test_nothing_comes_out_where_the_very_line_was_written_again() -> None:
    assert _taken_out(_CHANGED.replace('"full_name")', '"full_name", "nobody")')) is None


def test_functions_are_put_back_whole_with_what_was_removed_beside_them() -> None:
    before = 'import re\n\nFORM = re.compile("x")\n\n\ndef read(text):\n    return FORM.match(text)\n'
    changed = "def read(text):\n    return text[0]\n"
    release = (
        'def read(text):\n    return text[:1]\n\n\ndef newer(text):\n    """Came later."""\n    return text\n'
    )
    blocks = parse(unified({"fields.py": before}, {"fields.py": changed}, context=0))
    read = {"fields.py": changed}.get, {"fields.py": release}.get
    assert take_out(blocks, blocks, *read, {}) is None
    found = put_back(blocks, *read, {})
    assert found is not None
    text = str(found["fields.py"])
    assert 'FORM = re.compile("x")' in text
    assert "import re\n" in text
    assert "return FORM.match(text)" in text
    assert "def newer(text):" in text
    assert "text[:1]" not in text
