"""The library's own test of a fix in a library: what its caller asked of it, seen while the reproducer's call ran.

The test of the incident stands where the entry is. A library that changes gets a smaller one beside it: the calls that
came in from outside of it, with plain arguments, up to the first that the fix answers in another way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fixloop.bench import Bench
from fixloop.judging.applied import prepare
from fixloop.judging.constraints import Refusal
from fixloop.judging.witness import Trial
from fixloop.reproduce.calling import called
from fixloop.reproduce.shape import in_style, shaped
from fixloop.reproduce.styles import Style, style_of
from fixloop.reproduce.write import call_source
from fixloop.running.runner import Runner
from fixloop.running.worlds import SOURCES, World
from store.repair import Patch, Reproducer

TIMES = 20  # runs on the release and on the fix
CALLS = 200  # that are recorded of one run

_RECORDER = '''

def recorded():
    """What comes into a library from outside while `call` runs: [module, name, arguments, result], as literals."""
    import ast, sys, threading
    root, calls, open_calls = {root!r}, [], {{}}

    def literal(value):
        try:
            text = repr(value)
            same = ast.literal_eval(text)
        except Exception:
            return None
        return text if type(same) is type(value) and same == value else None

    def named(frame):
        for module in list(sys.modules.values()):
            if not str(getattr(module, "__file__", None) or "").startswith(root):
                continue
            for name, each in list(vars(module).items()):
                if getattr(each, "__code__", None) is not frame.f_code:
                    continue
                cells = zip(frame.f_code.co_freevars, each.__closure__ or ())
                if all(frame.f_locals.get(free) is cell.cell_contents for free, cell in cells):
                    return module.__name__, name
        return None

    def arguments(frame):
        code, said = frame.f_code, []
        count = code.co_argcount
        for name in code.co_varnames[:count]:
            said.append(literal(frame.f_locals[name]))
        for name in code.co_varnames[count:count + code.co_kwonlyargcount]:
            text = literal(frame.f_locals[name])
            said.append(None if text is None else name + "=" + text)
        rest = count + code.co_kwonlyargcount
        if code.co_flags & 4:
            said += [literal(value) for value in frame.f_locals[code.co_varnames[rest]]]
            rest += 1
        if code.co_flags & 8:
            said += [name + "=" + (literal(v) or "") for name, v in frame.f_locals[code.co_varnames[rest]].items()]
        return None if None in said else ", ".join(said)

    def watch(frame, event, value):
        if event == "call" and frame.f_code.co_filename.startswith(root) and len(calls) < {most}:
            outside = frame.f_back is None or not frame.f_back.f_code.co_filename.startswith(root)
            if outside and not frame.f_code.co_flags & 0x2A0 and frame.f_code.co_name != "<module>":
                given, place = arguments(frame), named(frame)
                if given is not None and place is not None:
                    open_calls[id(frame)] = len(calls)
                    calls.append([*place, given, None])
        elif event == "return" and id(frame) in open_calls:
            calls[open_calls.pop(id(frame))][3] = literal(value)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        call()
    except Exception:
        pass
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return calls
'''


@dataclass(frozen=True)
class _Call:
    """One call into a library: `given` are its arguments and `result` what it gave, as literals."""

    module: str
    name: str
    given: str
    result: str | None


def library_tests(incident_id: str, patch: Patch, trial: Trial, bench: Bench) -> tuple[Reproducer, ...]:
    """A test for each repository that a proven patch changes beside the entry's, where one can be made: it fails on
    the release and passes on the fix, by itself."""
    base = bench.world()
    case = prepare(bench, base, patch)
    if isinstance(case, Refusal):
        return ()
    made = (
        _made(incident_id, repo, trial, bench, base, case.world)
        for repo in patch.diffs
        if repo != trial.reproducer.repo
    )
    return tuple(test for test in made if test is not None)


def _made(
    incident_id: str, repo: str, trial: Trial, bench: Bench, base: World, fixed: World
) -> Reproducer | None:
    with bench.runner(base) as release, bench.runner(fixed) as repaired:
        before, after = (_calls(runner, repo, trial) for runner in (release, repaired))
        for calls in _candidates(before, after):
            style = replace(style_of(repo, bench), django=False)
            name = "test_" + incident_id.lower().replace("-", "_")
            path = f"{style.folder}/{name}.py"
            test = Reproducer(
                repo=repo, framework=style.framework, test_path=path,
                source=_written(incident_id, name, calls, trial.reproducer, style),
                command=style.command(path), entry="frame", oracle=trial.reproducer.oracle,
                runs=TIMES, failures=TIMES,
            )  # fmt: skip
            source, function = called(test)
            failed = [one.status for one in release.run(source, function, times=TIMES, watch=False)]
            passed = [one.status for one in repaired.run(source, function, times=TIMES, watch=False)]
            if set(failed) == {"raised"} and set(passed) == {"ok"}:
                return test
    return None


def _calls(runner: Runner, repo: str, trial: Trial) -> list[_Call]:
    """What came into the repository. It is told by the code under judgement: only plain names and literals count."""
    source = call_source(trial.recipe) + _RECORDER.format(root=f"{SOURCES}/{repo}/", most=CALLS)
    value = runner.run(source, "recorded", preload=trial.recipe.preload, watch=False)[0].value
    found = []
    for told in value if isinstance(value, list) else ():
        match told:
            case [str(module), str(name), str(given), str() | None as result] if _plain(
                module, name, given, result
            ):
                found.append(_Call(module, name, given, result))
            case _:
                continue
    return found


def _plain(module: str, name: str, given: str, result: str | None) -> bool:
    names = all(part.isidentifier() for part in (*module.split("."), name))
    try:
        call = ast.parse(f"f({given})", mode="eval").body
        for value in (
            [*call.args, *(word.value for word in call.keywords)] if isinstance(call, ast.Call) else [call]
        ):
            ast.literal_eval(value)
        ast.literal_eval(result if result is not None else "None")
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return names


def _candidates(before: Sequence[_Call], after: Sequence[_Call]) -> Iterator[list[_Call]]:
    """Calls that may tell the release from the fix: the first that differs alone, with its like, with all before it."""
    for at, call in enumerate(after):
        then = before[at] if at < len(before) else None
        if then is not None and (then.module, then.name, then.given) != (call.module, call.name, call.given):
            return
        if call.result is None or (then is not None and then.result == call.result):
            continue
        like = [each for each in after[:at] if (each.module, each.name) == (call.module, call.name)]
        yield [call]
        yield [*like, call]
        yield [*after[: at + 1]]


def _written(incident_id: str, name: str, calls: Sequence[_Call], test: Reproducer, style: Style) -> str:
    lines = [f"{call.name}({call.given})" for call in calls[:-1]]
    last = calls[-1]
    equals = "is" if last.result in ("None", "True", "False") else "=="
    lines += [f"result = {last.name}({last.given})", style.asserted("result", equals, str(last.result))]
    if equals == "==":
        lines.append(style.asserted("type(result)", "is", f"type({last.result})"))
    text = shaped(name, lines, style)
    imports = [f"import {module}\n" for module in sorted(text.imports)]
    imports += [
        f"from {module} import {name}" for module, name in sorted({(c.module, c.name) for c in calls})
    ]
    doc = (
        f'"""{incident_id}: what {test.repo} asks of this library, and what it has to be given.\n\n'
        f"The incident's own test is {test.test_path} of {test.repo} (oracle {test.oracle}); this is the part of it "
        'that lies here.\n"""\n'
    )
    return in_style(doc + "\n".join(imports) + "\n\n\n" + text.source, style)
