"""What a patch may touch: paths, size, kinds of files. Each rule has a name, and a refusal says it.

What its code may not begin to do is in `conduct`. Executed properties come in between (see `judge`); a text
rule is never the only thing between a cheat and a draft where running it can tell.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

from fixloop.blocks import Block
from fixloop.judging.conduct import Refusal, after_running, before_running, of_one_event
from fixloop.judging.interface import api_changes
from fixloop.situation import is_test

__all__ = [
    "Refusal", "after_running", "api_changes", "before_running", "of_one_event", "split_tests", "structure", "whole",
]  # fmt: skip

MAX_DIFF = 400_000  # characters
MAX_FILES = 20

# Files that decide how tests are found and run: the judge reads them, so a patch may not write them.
READ_BY_JUDGE = (
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    "sitecustomize.py",
    "usercustomize.py",
    "noxfile.py",
    ".coveragerc",
    "*.pth",
    ".nightdesk.toml",
)
PROTECTED = (
    ".github/*",
    ".gitlab-ci.yml",
    ".gitlab/*",
    ".circleci/*",
    "Jenkinsfile",
    ".travis.yml",
    "azure-pipelines.yml",
    "requirements*.txt",
    "*.lock",
    "setup.py",
    "Pipfile",
    "package.json",
    "package-lock.json",
    ".pre-commit-config.yaml",
    ".husky/*",
    ".git/*",
    ".gitmodules",
    ".gitattributes",
    "CODEOWNERS",
    "AGENTS.md",
    "CLAUDE.md",
    ".claude/*",
    ".cursor/*",
    ".mcp.json",
    ".vscode/*",
    "Dockerfile",
    "Makefile",
    "*.so",
    "*.pyc",
    "*.pyd",
)
_RUNNER = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "nose", "hypothesis", "py"})
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")  # letters that look like nothing
_LINK = re.compile(
    r"^(?:(?:new|old|deleted) (?:file )?mode|index [0-9a-f]+\.\.[0-9a-f]+) (?:120000|160000)", re.M
)
_HEADER_PATH = re.compile(
    r"^(?:---|\+\+\+|rename (?:from|to)|copy (?:from|to)) \"?(?:[ab]/)?([^\"\t\n]+)", re.M
)


def whole(diff: str) -> Refusal | None:
    """Rules about the text of the diff, before it is parsed."""
    if len(diff) > MAX_DIFF:
        return Refusal("too_large", f"the diff has {len(diff):,} characters, at most {MAX_DIFF:,} are judged")
    if "GIT binary patch" in diff or re.search(r"^Binary files ", diff, re.M) or "\0" in diff:
        return Refusal("binary", "the patch changes a binary file")
    if _LINK.search(diff) or re.search(r"^[-+]Subproject commit [0-9a-f]+", diff, re.M):
        return Refusal("symlink_or_submodule", "the patch makes or changes a symbolic link or a submodule")
    for path in _HEADER_PATH.findall(diff):
        if path != "/dev/null" and _leaves(path):
            return Refusal("path_traversal", f"{path!r} leaves the repository")
    return _unseen(diff)


def _unseen(diff: str) -> Refusal | None:
    """Characters that a reviewer does not see, or that turn the order of what is read: marks of direction, zero width,
    tags. What a line that is taken away has had, the one in its place may keep."""
    gone = Counter(c for line in diff.splitlines() if line.startswith("-") for c in line if _invisible(c))
    came = Counter(c for line in diff.splitlines() if line.startswith("+") for c in line if _invisible(c))
    new = next(iter((came - gone).elements()), None)
    if new is None:
        return None
    said = f"the patch adds the character U+{ord(new):04X}, which a reviewer cannot see"
    return Refusal("invisible_characters", said)


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cf", "Co", "Cn"} or character in _BLANKS


def structure(diff: str, blocks: Sequence[Block], protected: Iterable[str] = ()) -> Refusal | None:
    """Rules about the files that the patch touches."""
    refusal = whole(diff)
    if refusal is not None:
        return refusal
    paths = sorted({block.path for block in blocks})
    if len(paths) > MAX_FILES:
        return Refusal("too_large", f"the patch touches {len(paths)} files, at most {MAX_FILES} are judged")
    created = {block.path for block in blocks if block.created}
    for path in paths:
        if _leaves(path):
            return Refusal("path_traversal", f"{path!r} leaves the repository")
        if any(_fits(path, pattern) for pattern in READ_BY_JUDGE):
            said = f"{path} decides how tests are run: the judge reads it, a patch may not write it"
            return Refusal("touches_judge", said)
        if path in created and _shadows(path):
            return Refusal("touches_judge", f"{path} would take the place of a module that runs the tests")
        for pattern in (*PROTECTED, *protected):
            if _fits(path, pattern):
                return Refusal("protected_path", f"{path} is protected ({pattern})")
    return None


def _leaves(path: str) -> bool:
    pure = PurePosixPath(path)
    odd = not path or "\\" in path or "\0" in path or ".git" in (part.lower() for part in pure.parts)
    return odd or pure.is_absolute() or ".." in pure.parts


def _shadows(path: str) -> bool:
    """Whether a new file would be imported in place of a standard module or a part of the test runner."""
    parts = PurePosixPath(path).parts
    if path.endswith(".py"):
        parts = parts[1:] if parts[0] in ("src", "lib") and len(parts) > 1 else parts
        first = parts[0].removesuffix(".py")
        return first in sys.stdlib_module_names or first in _RUNNER or first.startswith("nightdesk")
    return False


def _fits(path: str, pattern: str) -> bool:
    name = PurePosixPath(path).name
    return fnmatch(path, pattern) or fnmatch(name, pattern) or fnmatch(path, f"*/{pattern}")


def split_tests(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """The blocks that change code, and those that are tests: these are set aside, they decide nothing."""
    code = [block for block in blocks if not is_test(block.path)]
    return code, [block for block in blocks if is_test(block.path)]
