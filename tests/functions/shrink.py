"""A failing trial made as small as it gets while it fails in the same way, and its script."""

import ast
import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.functions.jets import UndecidedError
from tests.functions.trial import PRELUDE, Answers, Failure, Trial, run

MOST = 3000  # trials to shrink one failure
SIMPLE = [1.0, 2.0, 0.5]


def smaller(text: str) -> Iterator[str]:
    """The text with a statement left out or unwrapped, or a part in place of an expression."""
    tree = ast.parse(text)
    for parent in ast.walk(tree):
        for body in (getattr(parent, name, None) for name in ("body", "orelse")):
            if isinstance(body, list):
                yield from _without(tree, body)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.expr):
                yield from _replaced(tree, value, lambda new, p=parent, n=name: setattr(p, n, new))
            elif isinstance(value, list):
                for i, part in enumerate(value):
                    if isinstance(part, ast.expr):
                        put = lambda new, v=value, i=i: v.__setitem__(i, new)  # noqa: E731
                        yield from _replaced(tree, part, put)


def _without(tree: ast.Module, body: list[ast.stmt]) -> Iterator[str]:
    for i, statement in reversed(list(enumerate(body))):
        for instead in ([], getattr(statement, "body", []), getattr(statement, "orelse", [])):
            if instead or instead is not statement:
                body[i : i + 1] = instead
                text = ast.unparse(tree)
                body[i : i + len(instead)] = [statement]
                yield text


def _replaced(tree: ast.Module, old: ast.expr, put: Any) -> Iterator[str]:
    if isinstance(getattr(old, "ctx", None), ast.Store) or _is_package(old):
        return
    # A bare `ag.Value` would let an assignment change the class itself.
    parts = [part for part in ast.walk(old) if isinstance(part, ast.expr) and part is not old]
    parts = [part for part in parts if not _is_package(part)]
    if isinstance(old, ast.Lambda):
        parts = []
    constants = [
        ast.Constant(x)
        for x in SIMPLE
        if not (isinstance(old, ast.Constant) and old.value in SIMPLE)
    ]
    for new in [*constants, *parts]:
        put(new)
        text = ast.unparse(tree)
        put(old)
        yield text


def _is_package(part: ast.AST) -> bool:
    """Whether it is `ag`, or a name of it."""
    part = part.value if isinstance(part, ast.Attribute) else part
    return isinstance(part, ast.Name) and part.id == "ag"


def size(trial: Trial) -> tuple[int, int, int]:
    """How big a trial is: parts, names, digits."""
    texts = [trial.function.source, *(trial.function.calls[step.call] for step in trial.steps)]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    names = sum(isinstance(node, ast.Name) for node in nodes)
    return len(nodes) + 10 * len(trial.steps), names, sum(map(len, texts))


def candidates(trial: Trial) -> Iterator[Trial]:
    """Trials that are a little smaller."""
    function, steps = trial.function, trial.steps
    for i in range(len(steps) - 1):
        yield replace(trial, steps=steps[:i] + steps[i + 1 :])
    for leaf in function.leaves:
        kept = tuple(other for other in function.leaves if other != leaf)
        calls = tuple(
            re.sub(rf"^{re.escape(leaf)}\.data.*\n", "", call, flags=re.M)
            for call in function.calls
        )
        yield replace(trial, function=replace(function, leaves=kept, calls=calls))
    for k, call in enumerate(function.calls):
        if any(step.call == k for step in steps):
            for text in smaller(call):
                calls = (*function.calls[:k], text + "\n", *function.calls[k + 1 :])
                yield replace(trial, function=replace(function, calls=calls))
    for text in smaller(function.source):
        yield replace(trial, function=replace(function, source=text + "\n"))


def shrunk(failure: Failure, most: int = MOST) -> Failure:
    """A failure of the same kind with as little in it as can be found."""
    at = failure.trial.steps.index(failure.step)
    best = replace(failure, trial=replace(failure.trial, steps=failure.trial.steps[: at + 1]))
    tried, found = 0, True
    while found and tried < most:
        found, least = False, size(best.trial)
        for trial in candidates(best.trial):
            tried += 1
            failed = None
            # A part that is left out may leave nonsense behind, which fails in its own way.
            with contextlib.suppress(Exception):
                if size(trial) < least:
                    failed = run(trial)
            if failed and failed.signature == failure.signature:
                best, found = failed, True
                break
            if tried >= most:
                break
    return best


def script(failure: Failure) -> str:
    """A program that shows the failure by itself."""
    trial, question = failure.trial, failure.step.question
    what = " ".join(failure.text.split())[:200]
    lines = [f"# {question.name}: {failure.kind}: {what}", PRELUDE, trial.function.source]
    if trial.engine is not None:
        lines.append(f"engine, exact = {trial.engine!r}, {trial.exact}")
        lines.append("c = ag.compile(f, engine=engine, exact=exact)")
    answers = Answers(trial)
    for step in trial.steps:
        method = step.question.method
        call = trial.function.calls[step.call]
        lines += [
            f"\n# {step.question.name}",
            call.rstrip(),
            f"leaves = {trial.function.list_of_leaves}",
        ]
        lines += ["globals().update(prepared(args, leaves))", "F = f"]
        lines.append(f"print('eager   ', {step.question.text})")
        if trial.engine is not None:
            lines.append("F = c" if not method else "")
            lines.append(f"print('compiled', {method or step.question.text})")
        else:
            try:
                right = str([number for number, _ in answers.bounds(step, regroup=False)])
            except UndecidedError:
                right = step.question.mirror
            lines.append(f"print('right   ', {right})")
    return "\n".join(lines) + "\n"
