"""The parts of a written call, and the call of a frame's function as a colleague would write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

from fixloop.reproduce.layout import quoted
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import Naming, placed, render

# Methods that are written as what they are for.
_OPERATORS = {"__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=", "__eq__": "==", "__ne__": "!=",
              "__add__": "+", "__sub__": "-", "__mul__": "*", "__truediv__": "/", "__floordiv__": "//", "__mod__": "%",
              "__or__": "|", "__and__": "&", "__xor__": "^",
              "__matmul__": "@", "__lshift__": "<<", "__rshift__": ">>"}  # fmt: skip
_FUNCTIONS = {"__next__": "next", "__iter__": "iter", "__len__": "len", "__repr__": "repr",
              "__str__": "str", "__hash__": "hash", "__bool__": "bool", "__int__": "int", "__float__": "float",
              "__abs__": "abs"}  # fmt: skip


COLLECT = '''
async def collect(items):
    """All that an asynchronous generator gives."""
    return [item async for item in items]
'''


MADE = '''
def made(kind, state, content=None):
    """An object in the state that it had in production, without its constructor."""
    base = next(one for one in kind.__mro__ if not one.__flags__ & 512)  # the first that is not written in Python
    if content is None:
        one = base.__new__(kind)
    elif issubclass(kind, BaseException):
        one = base.__new__(kind, *content)
    elif issubclass(kind, dict):
        one = base.__new__(kind)
        for key in content:
            base.__setitem__(one, key, content[key])
    elif issubclass(kind, (list, set)):
        one = base.__new__(kind)
        (list.extend if issubclass(kind, list) else set.update)(one, content)
    else:
        one = base.__new__(kind, content)
    return filled(one, state)


def filled(one, state):
    """The object with these attributes: in its slots, or where it keeps the others."""
    kind = type(one)
    for name, value in state.items():
        slot = next((vars(part)[name] for part in kind.__mro__ if name in vars(part)), None)
        if type(slot).__name__ == "member_descriptor":
            slot.__set__(one, value)
        else:
            one.__dict__[name] = value
    return one
'''


@dataclass(frozen=True)
class Taken:
    """What a test takes from its surroundings instead of making it. `client` and `app`: how they are called there;
    `parameters`: the fixtures that it names; `mark`: a decorator; `base`: the class whose method it is."""

    client: str | None = None
    app: str | None = None
    parameters: tuple[str, ...] = ()
    mark: str | None = None
    base: str | None = None


NOTHING = Taken()


@dataclass
class Lines:
    """The parts of a call: what to import, helper functions, set-up lines, and the expression that is the result."""

    imports: set[str] = field(default_factory=set)
    froms: set[tuple[str, str]] = field(default_factory=set)
    helpers: list[str] = field(default_factory=list)
    before_imports: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    handling: list[str] = field(default_factory=list)  # lines up to the `except` in which the call is made
    around: list[str] = field(default_factory=list)  # the head of a block that everything stands in
    blocks: list[str] = field(
        default_factory=list
    )  # heads of blocks, one in the other, in which the statements stand
    result: str = ""
    taken: Taken = NOTHING

    def body(self, statements: list[str]) -> list[str]:
        """The set-up and then the statements, inside the handler where there is one."""
        inner = [*self.handling, indent("\n".join(statements), "    ")] if self.handling else statements
        for head in reversed(self.blocks):
            inner = [head, indent("\n".join(inner), "    ")]
        every = [*self.setup, *inner]
        return [*self.around, indent("\n".join(every), "    ")] if self.around else every


def django_setup(settings: str) -> list[str]:
    """What has to stand before the first import of a Django application."""
    return [
        "import os",
        "",
        "import django",
        "",
        f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", {quoted(settings)})',
        "django.setup()",
        "",
    ]


def frame_lines(recipe: Recipe) -> Lines:
    """The call of a function of the stack, after the objects that it needs."""
    lines, target, inputs = Lines(), recipe.target, recipe.inputs
    if target.get("settings"):
        lines.before_imports = django_setup(target["settings"])
    names = _Names(lines, [str(made["name"]) for made in inputs.get("objects", ())])
    if "files" in inputs:
        lines.setup += _folder(inputs["files"], lines)
    if target.get("handling"):
        lines.handling = _handling(target["handling"], names)
    for made in inputs.get("objects", ()):
        lines.setup += _making(made, lines, names)
    words = [names.text(arg) for arg in inputs["args"]]
    words += [f"{name}={names.text(value)}" for name, value in inputs["kwargs"].items()]
    lines.result = _called(recipe, names, words)
    if recipe.entry in ("job", "cli"):
        lines.result = _entered(recipe, lines, names, lines.result)
    if "'$made'" in repr(inputs):
        lines.helpers.append(MADE)
    wrap = target.get("wrap")
    if wrap == "list":
        lines.result = f"list({lines.result})"
    elif wrap == "with":
        lines.setup.append(f"with {lines.result} as entered:\n    pass")
        lines.result = "entered"
    elif wrap == "collect":
        lines.imports.add("asyncio")
        lines.helpers.append(COLLECT)
        lines.result = f"asyncio.run(collect({lines.result}))"
    elif wrap == "await":
        lines.imports.add("asyncio")
        lines.result = f"asyncio.run({lines.result})"
    return lines


def _folder(files: dict[str, Any], lines: Lines) -> list[str]:
    """The lines that make the folder of the test's files."""
    lines.imports.add("tempfile")
    lines.froms.add(("pathlib", "Path"))
    found = ["folder = Path(tempfile.mkdtemp())"]
    for path, content in files.items():
        if "/" in path:
            found.append(f"(folder / {path!r}).parent.mkdir(parents=True, exist_ok=True)")
        made = "mkdir()" if content is None else f"write_text({content!r})"
        if isinstance(content, dict):
            made = f"write_bytes({render(content, lines.imports)})"
        found.append(f"(folder / {path!r}).{made}")
    return found


def _handling(chain: list[dict[str, Any]], names: _Names) -> list[str]:
    """The lines that raise the exceptions that were being handled, up to the handler of the last."""
    found: list[str] = []
    cause = ""
    for at, error in enumerate(chain):
        kind = error["type"] if "." not in error["type"] else names.imported(*placed(error["type"]))
        made = f"{kind}({error['message']!r})"
        if not error["raised"]:  # what was never raised was never handled: it can only be a cause
            cause = f" from {made}"
            continue
        raising = [f"raise {made}{cause}"]
        if found:  # in the handler of the one before
            raising = [*found, f"    raise {made}" + (" from error" if error["chained"] == "cause" else "")]
        last = at == len(chain) - 1
        found = [
            "try:",
            indent("\n".join(raising), "    "),
            f"except {kind}" + (":" if last else " as error:"),
        ]
        cause = ""
    return found


class _Names:
    """Imports the first of several things of one name by that name; the others, and those that the test's own
    variables are called as, are written with their modules."""

    def __init__(self, lines: Lines, variables: Sequence[str] = ()) -> None:
        self._lines = lines
        self._taken = dict.fromkeys(variables, "")

    def imported(self, module: str, qualname: str) -> str:
        """The text by which `module.qualname` is called."""
        head = qualname.partition(".")[0]
        if self._taken.setdefault(head, module) != module:
            self._lines.imports.add(module)
            return f"{module}.{qualname}"
        self._lines.froms.add((module, head))
        return qualname

    def text(self, value: Any) -> str:
        """A value as it is written; stand-ins and the names of the team's own modules without their modules."""
        if isinstance(value, dict) and "." in str(value.get("$name", "")):
            render(value, set())  # refuses what is no name
            return self.imported(*placed(str(value["$name"])))
        return render(value, _Imported(self, self._lines))


class _Imported(Naming):
    """Names by `from … import …`; what is imported whole goes to the lines."""

    def __init__(self, names: _Names, lines: Lines) -> None:
        super().__init__()
        self._names, self._lines = names, lines

    def add(self, module: str) -> None:
        """A module that is imported whole."""
        self._lines.imports.add(module)

    def called(self, module: str, name: str) -> str:
        """The name alone, unless another module has one like it."""
        return self._names.imported(module, name)


def _making(made: dict[str, Any], lines: Lines, names: _Names) -> list[str]:
    """The lines that make one object and bring it into its state."""
    name = render({"$ref": made.get("of", made["name"])}, lines.imports)
    if "of" in made:  # what could not be done when the object was made
        found = []
    elif "call" in made:
        render({"$name": made["call"]}, set())  # refuses what is no name
        words = [names.text(arg) for arg in made["args"]]
        words += [f"{key}={names.text(value)}" for key, value in made["kwargs"].items()]
        found = [f"{name} = {names.imported(*placed(made['call']))}({', '.join(words)})"]
    else:
        found = [f"{name} = {names.text(made['value'])}"]
    source = found.pop().partition(" = ")[2] if _is_given(made) else name
    for method, args, kwargs, chained in made["calls"]:
        words = [names.text(arg) for arg in args] + [
            f"{key}={names.text(value)}" for key, value in kwargs.items()
        ]
        render({"$ref": method}, set())
        found.append(f"{name} = " * chained + f"{source}.{method}({', '.join(words)})")
        source = name
    if "state" in made:
        found.append(f"filled({name}, {names.text(made['state'])})")
    for key, value in made["set"].items():
        render({"$ref": key}, set())
        found.append(f"{name}.{key} = {names.text(value)}")
    return found


def _is_given(made: dict[str, Any]) -> bool:
    """Whether an object is what a method of another one gives."""
    given = isinstance(made.get("value"), dict) and set(made["value"]) & {"$ref", "$name"}
    return bool(given and made["calls"] and made["calls"][0][3])


COMMAND = '''
def run(main, *words):
    """Call a command's entry as the shell would; gives its exit code or what it returned."""
    with mock.patch.object(sys, "argv", [{name!r}, *words]):
        try:
            return main()
        except SystemExit as ended:
            return ended.code
'''
COMMAND_WITH_WORDS = '''
def run(main, *words):
    """Call a command's entry with its words; gives its exit code or what it returned."""
    try:
        return main(list(words))
    except SystemExit as ended:
        return ended.code
'''


def _entered(recipe: Recipe, lines: Lines, names: _Names, call: str) -> str:
    """The call as the queue's worker or the shell makes it."""
    target, inputs = recipe.target, recipe.inputs
    if recipe.framework in ("celery", "huey"):
        task = names.imported(target["module"], str(target["qualname"]))
        if recipe.framework == "huey":
            return f"{task}.call_local{call[len(task) :]}"
        args, words = render(inputs["args"], lines.imports), render(inputs["kwargs"], lines.imports)
        return f"{task}.apply(args={args}, kwargs={words}, throw=True).result"
    if recipe.entry == "job":
        return call
    main = names.imported(target["module"], str(target["qualname"]))
    given = [render(word, lines.imports) for word in inputs["argv"]]
    if recipe.framework == "click":
        lines.froms.add(("click.testing", "CliRunner"))
        return f"CliRunner().invoke({main}, [{', '.join(given)}], catch_exceptions=False).exit_code"
    lines.helpers.append(COMMAND_WITH_WORDS if target["takes"] else COMMAND.format(name=target["name"]))
    if not target["takes"]:
        lines.imports.add("sys")
        lines.froms.add(("unittest", "mock"))
    return f"run({', '.join([main, *given])})"


def _called(recipe: Recipe, names: _Names, words: list[str]) -> str:
    target, given = recipe.target, recipe.inputs.get("self")
    qualname, receiver = str(target["qualname"]), target.get("receiver")
    owner, _, method = qualname.rpartition(".")
    if receiver == "new":
        return f"{names.imported(target['module'], owner)}({', '.join(words)})"
    if receiver in ("value", "property") and given is not None:
        text = names.text(given)
        if receiver == "property":
            return f"setattr({text}, {method!r}, {words[0]})" if words else f"{text}.{method}"
        if method in _OPERATORS and len(words) == 1:
            return f"{text} {_OPERATORS[method]} {words[0]}"
        if method in _FUNCTIONS and not words:
            return f"{_FUNCTIONS[method]}({text})"
        if method == "__call__":
            return f"{text}({', '.join(words)})"
        if method == "__getitem__" and len(words) == 1:
            return f"{text}[{words[0]}]"
        return f"{text}.{method}({', '.join(words)})"
    if given is not None:  # the class that a class method was called on
        return f"{names.text(given)}.{method}({', '.join(words)})"
    return f"{names.imported(target['module'], qualname)}({', '.join(words)})"
