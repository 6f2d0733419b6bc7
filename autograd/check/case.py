"""The function that is checked, where it is checked, and its recorded graph."""

import contextlib
import inspect
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from autograd.atomic import context
from autograd.blame import user_line
from autograd.check.carrier import Carrier, Run
from autograd.modes import Mode, entered, leaf_row
from autograd.nestings import Tree, leaves, rebuilt
from autograd.notes import Note
from autograd.operands import number
from autograd.operation import Operation
from autograd.order import unfold
from autograd.show.names import names
from autograd.value import Value, number_writer, numbers


class Plain(Mode):
    """Recording without scopes.

    In a mode that it does not know, a compiled function runs what was compiled.
    """

    def child(self, change: str, to: Any) -> Mode:
        """Itself, so that every node is recorded; `no_grad` alone means what it says."""
        return super().child(change, to) if change == "recording" else self


class Traced(Plain):
    """The same, and the user's line is kept of each node and of each leaf that f makes."""

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Value:
        """The node, with its line."""
        node: Value = super().record(z, op, a, b, x, y)
        node.row = Note(op, line=user_line())
        return node

    def new_leaf(self, leaf: Value) -> None:
        """Keep the line in which f makes a leaf of its own, as `detach()` does."""
        leaf.row = leaf_row(leaf.label, "", user_line())


Function = Callable[..., Any]


@dataclass
class Recording:
    """The graph of one run of f, and the inputs' nodes, then the parameters, in it."""

    root: Value
    nodes: list[Value]


@dataclass
class Case:
    """A function, where it is checked, and its recorded graph.

    Attributes:
        inputs: in their nesting.
        at: the numbers of the inputs, then of the parameters; `labels` are their names.
        recorded: the graph at these numbers.
        same_draws: sets generators of random numbers back; f draws the same in every run.
    """

    f: Function
    inputs: tuple[Tree, ...]
    at: list[float]
    labels: list[str]
    parameters: list[Value]
    recorded: Recording
    same_draws: Callable[[], object]

    @property
    def count(self) -> int:
        """How many inputs there are; the rest are parameters."""
        return len(self.at) - len(self.parameters)

    def recorded_at(self, at: list[float]) -> Recording:
        """f recorded at other numbers; the parameters are moved in place for as long as it runs."""
        return self._run(at, Plain())

    def traced(self) -> Recording:
        """f recorded where it is checked, with the user's lines."""
        return self._run(self.at, Traced())

    def _run(self, at: list[float], mode: Mode) -> Recording:
        nodes = [Value(x, label) for x, label in zip(at[: self.count], self.labels, strict=False)]
        self.same_draws()
        with self._moved(at[self.count :]), entered(mode):
            root = self.f(*rebuilt(list(self.inputs), iter(nodes)))
            if not isinstance(root, Value):
                kind = type(root).__name__
                raise TypeError(f"check_gradients: f must return one Value, got {kind}")
            unfold(root)
        return Recording(root, [*nodes, *self.parameters])

    def on_decimals(self, at: list[float]) -> Decimal:
        """f at other numbers, in the decimal context at hand; parameters are moved in place, too.

        A comparison or `.data` of a parameter reads its double, which must move along.
        """
        exact = [Decimal(x) for x in at]
        run = Run(dict(zip(self.parameters, exact[self.count :], strict=True)))
        given = iter([Carrier(run, x) for x in exact[: self.count]])
        self.same_draws()
        with self._moved(at[self.count :]), entered(run):
            return run.decimal(self.f(*rebuilt(list(self.inputs), given)))

    @context
    def _moved(self, to: list[float]) -> Iterator[None]:
        undo = number_writer(self.parameters, numbers(self.parameters))
        try:
            number_writer(self.parameters, to)()
            yield
        finally:
            undo()


def record(f: Function, inputs: tuple[Tree, ...], parameters: Any) -> Case:
    """The function, run twice at the inputs.

    Raises TypeError unless it returns one Value, ValueError if it is not deterministic.
    """
    given = list(leaves(list(inputs)))
    named = _named(parameters)
    chosen = [parameter for _, parameter in named]
    at = [leaf.data if isinstance(leaf, Value) else number(leaf, "an input") for leaf in given]
    case = Case(
        f=f, inputs=inputs, at=at + [p.data for p in chosen],
        labels=input_labels(f, inputs) + [name for name, _ in named], parameters=chosen,
        recorded=Recording(Value(0.0), []), same_draws=_same_draws(),
    )  # fmt: skip
    case.recorded = case.traced()
    first, again = case.recorded.root.data, case.recorded_at(case.at).root.data
    if again.hex() != first.hex():
        raise ValueError(
            f"check_gradients: f gave {first!r} and then {again!r} for the same inputs; fix its "
            "random numbers by a seed, and let it keep nothing from one run for the next"
        )
    return case


def _same_draws() -> Callable[[], object]:
    """A function that sets Python's generator, and NumPy's, back to where they are now."""
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return lambda: random.setstate(state)
    array = numpy.random.get_state()
    return lambda: (random.setstate(state), numpy.random.set_state(array))


def input_labels(f: Function, inputs: tuple[Tree, ...]) -> list[str]:
    """What each number of the inputs is called: by its label, or by f's argument and its path.

    >>> input_labels(lambda w, p, *rest: None, (1.0, {"b": [2.0]}, 3.0))
    ['w', "p['b'][0]", 'rest[0]']
    """
    paths = _paths(_arguments(f, len(inputs)), inputs)
    given = leaves(list(inputs))
    return [getattr(leaf, "label", "") or path for leaf, path in zip(given, paths, strict=True)]


def _arguments(f: Any, count: int) -> list[str]:
    """What f calls its arguments; x0, x1 where it does not say."""
    declared: list[inspect.Parameter] = []
    # An operation has its names in `__call__` alone; that of a function is C, and has none.
    for called in (f,) if inspect.isfunction(f) else (f.__call__, f):
        with contextlib.suppress(TypeError, ValueError):
            declared = list(inspect.signature(called).parameters.values())
    if not declared:
        return [f"x{i}" for i in range(count)]
    own = [p.name for p in declared if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in declared if p.kind is p.VAR_POSITIONAL), "x")
    return own[:count] + [f"{rest}[{i}]" for i in range(count - len(own))]


def _paths(arguments: list[str], inputs: tuple[Tree, ...]) -> Iterable[str]:
    """Paths of the inputs' leaves: w, x[2], p['w']."""
    stack: list[tuple[str, Tree]] = list(zip(arguments, inputs, strict=True))[::-1]
    while stack:
        path, part = stack.pop()
        if isinstance(part, dict):
            stack += [(f"{path}[{key!r}]", p) for key, p in part.items()][::-1]
        elif isinstance(part, list | tuple):
            stack += [(f"{path}[{i}]", p) for i, p in enumerate(part)][::-1]
        else:
            yield path


def _named(parameters: Any) -> list[tuple[str, Value]]:
    if parameters is None:
        return []
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    if isinstance(parameters, dict):
        return list(parameters.items())
    order = list(parameters)
    for parameter in order:
        if not isinstance(parameter, Value):
            raise TypeError(f"parameters must be Values, got {type(parameter).__name__}")
    return [(name, node) for node, name in names(order).items()]


def operands_of(node: Value) -> list[float]:
    """The numbers that the node's operation was applied to."""
    assert node.op is not None
    return [node.x, node.y] if node.op.arity == 2 else [node.x]
