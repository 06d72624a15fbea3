"""The internal library of a world, as it stands after each of its commits."""

from __future__ import annotations

from collections.abc import Set
from importlib.metadata import version

from server.demo.plan import Plan


def library_files(plan: Plan, has: Set[str]) -> dict[str, str]:
    """The library's tree. `has` names the steps of its history that are behind it."""
    folder = f"src/{plan.library}"
    files = {
        "pyproject.toml": _project(plan, has),
        "requirements-dev.txt": f"pytest=={version('pytest') if 'bump' in has else '8.3.5'}\n",
        "README.md": _readme(plan, has),
        f"{folder}/__init__.py": f'"""What every service knows about {plan.plural}."""\n',
        plan.reader_path: _reader(plan, has),
        f"tests/test_{plan.reader_module}.py": _reader_tests(plan, has),
    }
    if "formats" in has:
        files[f"{folder}/{plan.format_module}.py"] = _formats(has)
        files[f"tests/test_{plan.format_module}.py"] = _format_tests(plan)
    if "changelog" in has:
        files["CHANGELOG.md"] = _changelog(plan, has)
    return files


def reads_new(plan: Plan, has: Set[str]) -> bool:
    """Whether the library reads the new field yet."""
    return plan.planted_from_start or "culprit" in has


def _reader(plan: Plan, has: Set[str]) -> str:
    hints = ("record: dict[str, Any]", " -> Any") if "hints" in has else ("record", "")
    parts = ['"""What a stored record says, read in one place."""\n']
    parts += ["\nfrom typing import Any\n"] if "hints" in has else []
    if "references" in has:
        said = (
            "The reference that people quote."
            if "docs" not in has
            else "The reference that people quote on the phone."
        )
        parts.append(
            f'\n\ndef reference_of({hints[0]}){hints[1]}:\n    """{said}"""\n'
            '    return record["id"].upper()\n'
        )
    reading = plan.new_reading if reads_new(plan, has) else plan.old_reading
    body = plan.shape.format(r=reading, e=f"no {plan.noun}")
    head = f'def {plan.reader}({hints[0]}){hints[1]}:\n    """The {plan.field.old} of one {plan.noun}."""\n'
    parts.append(f"\n\n{head}{body}")
    if "years" in has:
        parts.append(f'\n\ndef year_of({hints[0]}){hints[1]}:\n    """The year in which it was made."""\n'
                     '    return int(record["created"][:4])\n')  # fmt: skip
    return "".join(parts)


def _reader_tests(plan: Plan, has: Set[str]) -> str:
    new, old = plan.field.samples[3], plan.field.samples[2]
    module = f"{plan.library}.{plan.reader_module}"
    parts = [f"from {module} import {plan.reader}\n"]
    parts += [f"from {module} import reference_of\n"] if "references" in has else []
    parts += [f"from {module} import year_of\n"] if "years" in has else []
    both = {plan.field.old: old, plan.field.new: old}
    parts.append(f"\n\ndef test_{plan.field.old}():\n    assert {plan.reader}({both!r}) == {old!r}\n")
    if reads_new(plan, has):
        differ = {plan.field.old: old, plan.field.new: new}
        parts.append(
            f"\n\ndef test_{plan.field.new}_wins():\n    assert {plan.reader}({differ!r}) == {new!r}\n"
        )
    if "references" in has:
        parts.append('\n\ndef test_reference():\n    assert reference_of({"id": "x-1"}) == "X-1"\n')
    if "years" in has:
        parts.append('\n\ndef test_year():\n    assert year_of({"created": "2024-05-01"}) == 2024\n')
    return "".join(parts)


def _formats(has: Set[str]) -> str:
    parts = [
        '"""How values are written for people."""\n\n\n'
        'def money(cents):\n    """An amount in cents, as people read it."""\n'
    ]
    parts.append(
        '    return f"{cents / 100:.2f}"\n' if "tidy" in has else "    return '%.2f' % (cents/100)\n"
    )
    if "plurals" in has:
        parts.append('\n\ndef counted(number, noun):\n    """A number of things."""\n'
                     '    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"\n')  # fmt: skip
    return "".join(parts)


def _format_tests(plan: Plan) -> str:
    head = f"from {plan.library}.{plan.format_module} import money\n\n\n"
    return head + 'def test_money():\n    assert money(1250) == "12.50"\n'


def _project(plan: Plan, has: Set[str]) -> str:
    number = "1.2.0" if "release" in has else "1.1.0" if "culprit" in has else "1.0.0"
    return (
        f'[project]\nname = "{plan.library}"\nversion = "{number}"\n\n'
        '[tool.pytest.ini_options]\npythonpath = ["src"]\ntestpaths = ["tests"]\n'
    )


def _readme(plan: Plan, has: Set[str]) -> str:
    text = f"# {plan.library}\n\nWhat every service knows about {plan.plural}.\n"
    return text + ("\nRun the tests with `python -m pytest`.\n" if "readme" in has else "")


def _changelog(plan: Plan, has: Set[str]) -> str:
    lines = ["## 1.2.0\n\n- Amounts are written the same way everywhere.\n\n"] if "release" in has else []
    lines += [f"## 1.1.0\n\n- `{plan.reader}` takes `{plan.field.new}`.\n\n"] if "culprit" in has else []
    return "# Changes\n\n" + "".join(lines) + "## 1.0.0\n\n- First release.\n"
