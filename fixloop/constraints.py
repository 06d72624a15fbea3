"""What a patch may touch, and what it may not begin to do. Each rule has a name, and a refusal says it.

Two kinds. `structure` looks at the diff as a whole: paths, size, what the judge reads. `conduct` compares the syntax
before and after: what the code newly does that no repair of an error needs. Executed properties come in between (see
`judge`); a text rule is never the only thing between a cheat and a draft where running it can tell.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

from fixloop.blocks import Block
from fixloop.reproduce.syntax import parse
from fixloop.situation import is_test

MAX_DIFF = 400_000  # characters
MAX_FILES = 20

# Files that decide how tests are found and run: the judge reads them, so a patch may not write them.
READ_BY_JUDGE = ("conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "sitecustomize.py",
                 "usercustomize.py", "noxfile.py", ".coveragerc", "*.pth", ".nightdesk.toml")  # fmt: skip
PROTECTED = (".github/*", ".gitlab-ci.yml", ".gitlab/*", ".circleci/*", "Jenkinsfile", ".travis.yml", "azure-pipelines.yml",
             "requirements*.txt", "*.lock", "setup.py", "Pipfile", "package.json", "package-lock.json",
             ".pre-commit-config.yaml", ".husky/*", ".git/*", ".gitmodules", ".gitattributes", "CODEOWNERS",
             "AGENTS.md", "CLAUDE.md", ".claude/*", ".cursor/*", ".mcp.json", ".vscode/*", "Dockerfile", "Makefile",
             "*.so", "*.pyc", "*.pyd")  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A rule that a patch breaks, by name, and the sentence for people."""

    rule: str
    said: str


def structure(diff: str, blocks: Sequence[Block], protected: Iterable[str] = ()) -> Refusal | None:
    """Rules about the diff as a whole."""
    if len(diff) > MAX_DIFF:
        return Refusal("too_large", f"the diff has {len(diff):,} characters, at most {MAX_DIFF:,} are judged")
    if "GIT binary patch" in diff or re.search(r"^Binary files ", diff, re.M):
        return Refusal("binary", "the patch changes a binary file")
    if re.search(r"^(?:new file mode|new mode|deleted file mode) (?:120000|160000)", diff, re.M):
        return Refusal("symlink_or_submodule", "the patch makes a symbolic link or a submodule")
    paths = sorted({block.path for block in blocks})
    if len(paths) > MAX_FILES:
        return Refusal("too_large", f"the patch touches {len(paths)} files, at most {MAX_FILES} are judged")
    for path in paths:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path or not path:
            return Refusal("path_traversal", f"{path!r} leaves the repository")
        if any(_fits(path, pattern) for pattern in READ_BY_JUDGE):
            return Refusal(
                "touches_judge",
                f"{path} decides how tests are run: the judge reads it, a patch may not write it",
            )
        for pattern in (*PROTECTED, *protected):
            if _fits(path, pattern):
                return Refusal("protected_path", f"{path} is protected ({pattern})")
    return None


def _fits(path: str, pattern: str) -> bool:
    return (
        fnmatch(path, pattern) or fnmatch(PurePosixPath(path).name, pattern) or fnmatch(path, f"*/{pattern}")
    )


def split_tests(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """The blocks that change code, and those that are tests: these are set aside, they decide nothing."""
    code = [block for block in blocks if not is_test(block.path)]
    return code, [block for block in blocks if is_test(block.path)]


# --- conduct ---------------------------------------------------------------------------------------------------

_ENDS = {"os._exit", "os.abort", "os.kill", "os.killpg", "signal.raise_signal", "sys.exit", "exit", "quit"}
_DETECTS = {"inspect.stack", "inspect.currentframe", "sys._getframe", "sys._current_frames", "traceback.extract_stack",
            "traceback.walk_stack"}  # fmt: skip
_TAMPERS = {"sys.settrace", "sys.setprofile", "threading.settrace", "gc.get_objects", "gc.get_referrers"}
_DANGER = {"eval", "exec", "compile", "__import__", "importlib.import_module", "os.system", "os.popen", "os.fork",
           "os.execv", "pickle.loads", "marshal.loads"}  # fmt: skip
_DANGEROUS_MODULES = {"subprocess", "socket", "ctypes", "requests", "httpx", "urllib3", "aiohttp", "ftplib", "smtplib",
                      "telnetlib", "paramiko", "multiprocessing", "pty", "builtins"}  # fmt: skip
_TEST_MODULES = {
    "pytest",
    "_pytest",
    "unittest",
    "nose",
    "hypothesis",
    "freezegun",
    "time_machine",
    "nightdesk_probe",
}
_TEST_TEXT = re.compile(
    r"PYTEST|pytest|unittest|nightdesk|ND_CHANNEL|ND_NONCE|freezegun|time_machine|FakeDatetime|test_inc"
)


def before_running(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> Refusal | None:
    """What is refused by name before anything runs: ending the process, finding out about the test, tampering."""
    for rule, names, said in (
        ("exits_process", _ENDS, "ends the process"),
        ("detects_test", _DETECTS, "looks at its own call stack"),
        ("tampers_with_runner", _TAMPERS, "interferes with the interpreter's tracing"),
    ):
        for path, name in _newly(old, new, lambda tree, names=names: _names_used(tree, names)):  # type: ignore[misc]
            return Refusal(rule, f"{path} newly {said} ({name})")
    for path, module in _newly(old, new, lambda tree: _modules(tree, _TEST_MODULES)):
        return Refusal("detects_test", f"{path} newly imports {module}")
    for path, text in _newly(old, new, _test_texts):
        return Refusal("detects_test", f"{path} newly mentions {text!r}: code may not know that it is tested")
    for path, name in _newly(old, new, _patched_modules):
        return Refusal("tampers_with_runner", f"{path} newly replaces a part of another module ({name})")
    return None


def after_running(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> Refusal | None:
    """What no repair needs, though it may well work: new powers, and handlers that swallow everything."""
    for path, name in _newly(old, new, lambda tree: _names_used(tree, _DANGER)):
        return Refusal("new_power", f"{path} newly calls {name}")
    for path, module in _newly(old, new, lambda tree: _modules(tree, _DANGEROUS_MODULES)):
        return Refusal("new_power", f"{path} newly imports {module}")
    for path, what in _newly(old, new, _swallowers):
        return Refusal("swallows_errors", f"{path} newly catches everything ({what}): that hides the error")
    for path, url in _newly(old, new, _urls):
        return Refusal("carries_url", f"{path} newly carries the address {url}")
    return None


def _newly(
    old: Mapping[str, str | None], new: Mapping[str, str | None], find: object
) -> Iterable[tuple[str, str]]:
    """(path, thing) for each thing that a file has more of than before."""
    for path, text in new.items():
        tree = parse(text) if text is not None and path.endswith(".py") else None
        if tree is None:
            continue
        earlier = parse(old.get(path) or "")
        had = Counter(find(earlier)) if earlier is not None else Counter()  # type: ignore[operator]
        for thing, count in Counter(find(tree)).items():  # type: ignore[operator]
            if count > had[thing]:
                yield path, thing


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Local name -> dotted name, from imports and plain assignments: `from os import _exit as leave`, `leave = os._exit`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
            dotted = _resolve(node.value, names)
            for target in node.targets:
                if isinstance(target, ast.Name) and dotted != target.id:
                    names.setdefault(target.id, dotted)
    return names


def _resolve(node: ast.expr, names: Mapping[str, str]) -> str:
    head, dot, rest = ast.unparse(node).partition(".")
    return names.get(head, head) + dot + rest


def _names_used(tree: ast.AST, wanted: set[str]) -> list[str]:
    names = _aliases(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            dotted = _resolve(node, names)
            if dotted in wanted:
                found.append(dotted)
        elif isinstance(node, ast.Call) and _resolve(node.func, names) == "getattr" and len(node.args) > 1:
            literal = node.args[1]
            dotted = f"{_resolve(node.args[0], names)}.{literal.value if isinstance(literal, ast.Constant) else '?'}"
            if dotted in wanted or (dotted.endswith(".?") and dotted[:-2] in ("os", "sys", "inspect")):
                found.append(dotted)
        elif isinstance(node, ast.Raise) and node.exc is not None and "exits" in _kind(wanted):
            target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if _resolve(target, names) in ("SystemExit", "builtins.SystemExit", "KeyboardInterrupt"):
                found.append("raise SystemExit")
    return found


def _kind(wanted: set[str]) -> str:
    return "exits" if wanted is _ENDS else ""


def _modules(tree: ast.AST, wanted: set[str]) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in wanted]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in wanted:
            found.append(str(node.module))
    return found


def _test_texts(tree: ast.AST) -> list[str]:
    docs = {id(node.body[0].value) for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
            and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    return [match.group() for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
            and (match := _TEST_TEXT.search(node.value))]  # fmt: skip


def _patched_modules(tree: ast.AST) -> list[str]:
    """Assignments to an attribute of an imported module, and setattr on one: monkey-patching."""
    imported = {alias.asname or alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _head(node) in imported:
            found.append(ast.unparse(node))
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "sys.modules"
        ):
            found.append("sys.modules")
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "setattr"
            and node.args
            and _head(node.args[0]) in imported
        ):
            found.append(f"setattr({ast.unparse(node.args[0])})")
    return found


def _head(node: ast.expr) -> str:
    return ast.unparse(node).partition(".")[0]


def _swallowers(tree: ast.AST) -> list[str]:
    """Handlers of everything that do not raise again, `suppress(Exception)` included."""
    names = _aliases(tree)
    wide = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
            catches_all = not kinds or any(_resolve(kind, names) in wide for kind in kinds)
            if catches_all and not any(isinstance(part, ast.Raise) for part in ast.walk(node)):
                found.append(f"except {ast.unparse(node.type) if node.type else ''}".strip())
        elif isinstance(node, ast.Call) and _resolve(node.func, names) in ("contextlib.suppress", "suppress"):
            if any(_resolve(arg, names) in wide for arg in node.args):
                found.append(ast.unparse(node))
    return found


def _urls(tree: ast.AST) -> list[str]:
    return [match.group() for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and (match := re.search(r"https?://[^\s'\"]+", node.value))]  # fmt: skip


def api_changes(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> list[str]:
    """Public functions and classes that are gone or take other arguments: a person decides about those."""
    found = []
    for path, text in new.items():
        before, after = _public(old.get(path)), _public(text)
        for name, signature in before.items():
            if name not in after:
                found.append(f"{path}: {name} is gone")
            elif after[name] != signature:
                found.append(f"{path}: {name}({signature}) is now {name}({after[name]})")
    return found


def _public(text: str | None) -> dict[str, str]:
    tree = parse(text) if text else None
    if tree is None:
        return {}
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            found[node.name] = ast.unparse(node.args)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found[node.name] = "class"
            found |= {f"{node.name}.{part.name}": ast.unparse(part.args) for part in node.body
                      if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) and not part.name.startswith("_")}  # fmt: skip
    return found
