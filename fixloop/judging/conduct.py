"""What a patch's code may not begin to do: compared by syntax, before and after. Each rule has a name.

`before_running`: what is refused by name before anything runs (ending the process, finding out about the
test, interfering with the runner). `after_running`: what may well work and is no repair (swallowing every
error, new powers). What a file did before, it may go on doing.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from fixloop.reproduce.syntax import parse

Texts: TypeAlias = Mapping[str, str | None]
Find: TypeAlias = Callable[[ast.AST], list[str]]

_ENDS = frozenset(
    {
        "os._exit",
        "os.abort",
        "os.kill",
        "os.killpg",
        "signal.raise_signal",
        "signal.pthread_kill",
        "sys.exit",
        "exit",
        "quit",
        "atexit.register",
        "SystemExit",
        "KeyboardInterrupt",
        "builtins.SystemExit",
        "builtins.exit",
    }
)
_DETECTS = frozenset({
    "inspect.stack", "inspect.currentframe", "inspect.trace", "sys._getframe", "sys._current_frames",
    "sys._getframemodulename", "traceback.extract_stack", "traceback.walk_stack", "traceback.format_stack",
    "traceback.print_stack", "sys.modules", "sys.argv", "sys.orig_argv", "sys.gettrace", "sys.getprofile",
    "sys.monitoring", "os.getppid", "os.getpid", "os.uname", "platform.node", "os.getlogin", "psutil.Process",
})  # fmt: skip
_TAMPERS = frozenset(
    {
        "sys.settrace",
        "sys.setprofile",
        "threading.settrace",
        "threading.setprofile",
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
        "sys.meta_path",
        "sys.path_hooks",
        "sys.excepthook",
        "signal.signal",
        "signal.alarm",
        "signal.setitimer",
        "__builtins__",
    }
)
_DANGER = frozenset(
    {
        "eval",
        "exec",
        "compile",
        "__import__",
        "importlib.import_module",
        "importlib.reload",
        "os.system",
        "os.popen",
        "os.fork",
        "os.forkpty",
        "os.execv",
        "os.execve",
        "os.posix_spawn",
        "pickle.loads",
        "pickle.load",
        "marshal.loads",
        "shutil.rmtree",
        "globals",
    }
)
_DANGEROUS_MODULES = frozenset(
    {
        "subprocess",
        "socket",
        "ctypes",
        "requests",
        "httpx",
        "urllib3",
        "aiohttp",
        "ftplib",
        "smtplib",
        "telnetlib",
        "paramiko",
        "multiprocessing",
        "pty",
        "builtins",
        "mmap",
        "runpy",
        "code",
        "codeop",
    }
)
_TEST_MODULES = frozenset(
    {
        "pytest",
        "_pytest",
        "unittest",
        "nose",
        "hypothesis",
        "freezegun",
        "time_machine",
        "nightdesk_probe",
        "doctest",
        "pluggy",
        "__main__",
    }
)
_SPECIAL = _ENDS | _DETECTS | _TAMPERS | _DANGER
# The last part of these names is enough, whatever it is read from: nothing else is called so.
_TELLING = {
    name.rpartition(".")[2]: rule
    for rule, names in (
        ("exits_process", ("os._exit", "os.killpg")),
        ("detects_test", ("sys._getframe", "sys._current_frames", "inspect.currentframe")),
        ("tampers_with_runner", ("sys.settrace", "sys.setprofile", "gc.get_objects", "gc.get_referrers")),
    )
    for name in names
}
_FRAMES = frozenset(
    {"f_back", "tb_frame", "f_globals", "f_locals", "gi_frame", "cr_frame", "ag_frame", "f_builtins"}
)
_MODULES = frozenset({"os", "sys", "inspect", "builtins", "signal", "gc", "threading", "importlib", "posix"})
_TEST_TEXT = re.compile(
    r"pytest|PYTEST|unittest|nightdesk|ND_CHANNEL|ND_NONCE|freezegun|time_machine|FakeDate|FakeTime|MagicMock|test_inc"
    r"|[Tt]est[Cc]lient|testserver|Werkzeug|PYTHONHASHSEED|/proc/(?:self|1)\b|^/src(?:/|$)|^/opt/"
)
_WIDE = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})
_SAID = {
    "exits_process": "ends the process",
    "detects_test": "looks at how it is run",
    "tampers_with_runner": "interferes with the interpreter",
}


@dataclass(frozen=True)
class Refusal:
    """A rule that a patch breaks, by name, and the sentence for people."""

    rule: str
    said: str


def before_running(old: Texts, new: Texts) -> Refusal | None:
    """What is refused by name before anything runs."""
    for rule, names in (
        ("exits_process", _ENDS),
        ("detects_test", _DETECTS),
        ("tampers_with_runner", _TAMPERS),
    ):
        for path, name in _newly(old, new, partial(_names_used, wanted=names, rule=rule)):
            return Refusal(rule, f"{path} newly {_SAID[rule]} ({name})")
    for path, module in _newly(old, new, lambda tree: _modules(tree, _TEST_MODULES)):
        return Refusal("detects_test", f"{path} newly imports {module}")
    for path, name in _newly(old, new, _frames):
        return Refusal("detects_test", f"{path} newly looks at its own call stack ({name})")
    for path, text in _newly(old, new, _test_texts):
        return Refusal("detects_test", f"{path} newly mentions {text!r}: code may not know that it is tested")
    for path, name in _newly(old, new, _patched_modules):
        return Refusal("tampers_with_runner", f"{path} newly replaces a part of another module ({name})")
    return None


def after_running(old: Texts, new: Texts) -> Refusal | None:
    """What no repair needs, though it may well work: new powers, and handlers that swallow everything."""
    for path, name in _newly(old, new, lambda tree: _names_used(tree, _DANGER, "new_power")):
        return Refusal("new_power", f"{path} newly calls {name}")
    for path, module in _newly(old, new, lambda tree: _modules(tree, _DANGEROUS_MODULES)):
        return Refusal("new_power", f"{path} newly imports {module}")
    for path, what in _newly(old, new, _swallowers):
        return Refusal("swallows_errors", f"{path} newly catches everything ({what}): that hides the error")
    for path, url in _newly(old, new, _urls):
        return Refusal("carries_url", f"{path} newly carries the address {url}")
    return None


def of_one_event(old: Texts, new: Texts, told: Set[str]) -> Refusal | None:
    """A patch that names what stood in the event knows this one input: a repair serves every one like it."""
    for path, text in _newly(old, new, lambda tree: _constants(tree, told)):
        return Refusal("event_text", f"{path} newly names {text[:80]!r}, which is a value of this one event")
    return None


def _constants(tree: ast.AST, told: Set[str]) -> list[str]:
    texts = (_folded(node) for node in ast.walk(tree) if isinstance(node, ast.expr))
    return [text for text in texts if text is not None and text in told]


def _newly(old: Texts, new: Texts, find: Find) -> Iterator[tuple[str, str]]:
    """(path, thing) for each thing that the patched files together have more of than before: what only moves
    from one file to another is not new."""
    had: Counter[str] = Counter()
    has: Counter[str] = Counter()
    where: dict[str, str] = {}
    for path, text in new.items():
        if not path.endswith((".py", ".pyi")):
            continue
        before, after = parse(old.get(path) or ""), parse(text or "")
        mine, theirs = Counter(find(after) if after else ()), Counter(find(before) if before else ())
        had, has = had + theirs, has + mine
        where |= {thing: path for thing in mine if mine[thing] > theirs[thing]}
    for thing, count in has.items():
        if count > had[thing] and thing in where:
            yield where[thing], thing


# --- names --------------------------------------------------------------------------------------------------


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Local name -> dotted name, from imports and plain assignments: `from os import _exit as leave`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for target, value in _assigned(tree):
        dotted = _resolve(value, names)
        if dotted != target:
            names.setdefault(target, dotted)
    return names


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names that plainly stand for another name: assignments, walrus, defaults of parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.NamedExpr) and isinstance(node.value, (ast.Name, ast.Attribute)):
            yield node.target.id, node.value
        elif isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            pairs = [*zip(reversed(positional), reversed(node.defaults), strict=False),
                     *zip(node.kwonlyargs, node.kw_defaults, strict=True)]  # fmt: skip
            yield from (
                (arg.arg, value) for arg, value in pairs if isinstance(value, (ast.Name, ast.Attribute))
            )


def _resolve(node: ast.expr, names: Mapping[str, str]) -> str:
    head, dot, rest = ast.unparse(node).partition(".")
    return names.get(head, head) + dot + rest


def _names_used(tree: ast.AST, wanted: frozenset[str], rule: str) -> list[str]:
    names = _aliases(tree)
    caught = {id(part) for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type
              for part in ast.walk(node.type)}  # fmt: skip
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Name, ast.Attribute))
            and isinstance(node.ctx, ast.Load)
            and id(node) not in caught
        ):
            dotted = _resolve(node, names)
            telling = isinstance(node, ast.Attribute) and _TELLING.get(node.attr) == rule
            if dotted in wanted or telling:
                found.append(dotted)
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in wanted]
            found += [
                f"{node.module}.*" for a in node.names if a.name == "*" and _among(str(node.module), wanted)
            ]
        elif isinstance(node, ast.Call):
            found += _by_text(node, names, wanted)
        elif isinstance(node, ast.Subscript) and _TELLING.get(_folded(node.slice) or "") == rule:
            found.append(f"[{_folded(node.slice)!r}]")
    return found


def _among(module: str, wanted: frozenset[str]) -> bool:
    return module in _MODULES and any(name.startswith(f"{module}.") for name in wanted)


def _by_text(node: ast.Call, names: Mapping[str, str], wanted: frozenset[str]) -> Iterator[str]:
    """`getattr(os, "_ex" + "it")`, `vars(os)[…]`, `operator.attrgetter("_exit")`: a name that is put
    together."""
    called = _resolve(node.func, names)
    if called in ("getattr", "builtins.getattr") and len(node.args) > 1:
        owner, attribute = _resolve(node.args[0], names), _folded(node.args[1])
        if f"{owner}.{attribute}" in wanted or (attribute is None and _among(owner, wanted)):
            yield f"{owner}.{attribute or '?'}"
    elif called in ("vars", "builtins.vars") and node.args and _among(_resolve(node.args[0], names), wanted):
        yield f"vars({_resolve(node.args[0], names)})"
    elif called in ("operator.attrgetter", "operator.methodcaller") and node.args:
        attribute = _folded(node.args[0])
        if any(name.rpartition(".")[2] == attribute for name in wanted if "." in name):
            yield f"attrgetter({attribute!r})"


def _folded(node: ast.expr) -> str | None:
    """The text that an expression of constants comes to, or None."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _folded(left), _folded(right)
            return None if first is None or second is None else first + second
        case ast.JoinedStr(values=values):
            pieces = [_folded(part) for part in values]
            return None if None in pieces else "".join(piece or "" for piece in pieces)
        case ast.FormattedValue(value=value, format_spec=None):
            return _folded(value)
        case ast.Call(
            func=ast.Attribute(value=glue, attr="join"), args=[ast.List(elts=elts) | ast.Tuple(elts=elts)]
        ):
            texts, between = [_folded(part) for part in elts], _folded(glue)
            return None if None in texts or between is None else between.join(text or "" for text in texts)
        case ast.Subscript(
            value=value, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp(op=ast.USub()))
        ):
            forward = _folded(value)
            return None if forward is None else forward[::-1]
        case _:
            return None


def _modules(tree: ast.AST, wanted: frozenset[str]) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in wanted]
        elif (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").partition(".")[0] in wanted
        ):
            found.append(str(node.module))
    return found


# --- what it looks at, what it replaces, what it swallows ---------------------------------------------------


def _frames(tree: ast.AST) -> list[str]:
    return [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in _FRAMES]


def _test_texts(tree: ast.AST) -> list[str]:
    docs = {id(node.body[0].value) for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
            and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    found = []
    for node in ast.walk(tree):
        text = _folded(node) if isinstance(node, ast.expr) and id(node) not in docs else None
        match = _TEST_TEXT.search(text) if text else None
        if match:
            found.append(match.group())
    return found


def _patched_modules(tree: ast.AST) -> list[str]:
    """Assignments to an attribute of an imported module or name, setattr on one, `sys.modules[...] =`."""
    imported = {alias.asname or alias.name.partition(".")[0] for node in ast.walk(tree)
                if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}  # fmt: skip
    names = _aliases(tree)
    imported |= {name for name, dotted in names.items() if dotted.partition(".")[0] in imported}
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, (ast.Store, ast.Del))
            and _head(node) in imported
        ):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            owner = _resolve(node.value, names)
            if owner == "sys.modules" or owner.endswith(".__dict__") or owner.startswith("vars("):
                found.append(owner)
        elif isinstance(node, ast.Call) and node.args and _head(node.args[0]) in imported:
            called = _resolve(node.func, names)
            if called in ("setattr", "delattr", "builtins.setattr") or called.endswith(".__setattr__"):
                found.append(f"{called}({ast.unparse(node.args[0])})")
    return found


def _head(node: ast.expr) -> str:
    return ast.unparse(node).partition(".")[0]


def _swallowers(tree: ast.AST) -> list[str]:
    """Handlers of everything that do not raise again; `suppress(Exception)` and context managers that say
    so."""
    names = _aliases(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            raises = any(isinstance(part, ast.Raise) for part in ast.walk(node))
            if not raises and (node.type is None or _wide(node.type, tree, names)):
                found.append(f"except {ast.unparse(node.type) if node.type else ''}".strip())
        elif isinstance(node, ast.Call) and _resolve(node.func, names) in ("contextlib.suppress", "suppress"):
            if any(_wide(arg, tree, names) for arg in node.args):
                found.append(ast.unparse(node))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in (
            "__exit__",
            "__aexit__",
        ):
            returns = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
            if any(isinstance(value, ast.Constant) and value.value for value in returns):
                found.append(f"{node.name} that returns True")
    return found


def _wide(kind: ast.expr, tree: ast.AST, names: Mapping[str, str]) -> bool:
    """Whether an exception type, or one of a tuple of them, is everything."""
    if isinstance(kind, ast.Starred):
        return _wide(kind.value, tree, names)
    if isinstance(kind, (ast.Tuple, ast.List)):
        return any(_wide(one, tree, names) for one in kind.elts)
    if _resolve(kind, names) in _WIDE:
        return True
    if not isinstance(kind, ast.Name):
        return False
    return any(
        isinstance(node.value, (ast.Tuple, ast.List)) and _wide(node.value, tree, names)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == kind.id for target in node.targets)
    )


def _urls(tree: ast.AST) -> list[str]:
    return [
        match.group()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (match := re.search(r"https?://[^\s'\"]+", node.value))
    ]
