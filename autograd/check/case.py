"""The function to check, the point where it is checked, and its recorded graph."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from autograd.atomic import context
from autograd.blame import user_line
from autograd.check.carrier import Carrier, Run
from autograd.check.labels import argument_names, named_parameters, paths
from autograd.modes import Mode, entered, leaf_row
from autograd.nestings import Tree, leaves, rebuilt
from autograd.notes import Note
from autograd.operands import number
from autograd.operation import Operation
from autograd.order import unfold
from autograd.value import Value, number_writer, numbers


class Plain(Mode):
    """A recording mode that ignores scopes.

    In any mode but `Mode` itself, a compiled function runs its Python function.
    """

    def child(self, change: str, to: Any) -> Mode:
        """This mode itself, so that every node is recorded; only `no_grad` still has its effect."""
        return super().child(change, to) if change == "recording" else self


class Traced(Plain):
    """Plain, and keeps the user's line of each node and of each leaf that f creates."""

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Value:
        """The recorded node, with the user's line."""
        node: Value = super().record(z, op, a, b, x, y)
        node.row = Note(op, line=user_line())
        return node

    def new_leaf(self, leaf: Value) -> None:
        """Keep the line where f creates a leaf of its own, as `detach()` does."""
        leaf.row = leaf_row(leaf.label, "", user_line())


Function = Callable[..., Any]


@dataclass
class Recording:
    """The graph of one run of f: its root, and the nodes of the inputs, then the parameters."""

    root: Value
    nodes: list[Value]


@dataclass
class Case:
    """A function, the point where it is checked, and its recorded graph.

    Attributes:
        inputs: as the user nests them.
        at: the numbers of the inputs, then of the parameters; `labels` has their names.
        recorded: the graph at these numbers.
        same_draws: resets the random generators, so that f draws the same numbers in every run.
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
        """The number of inputs; the rest of `at` are parameters."""
        return len(self.at) - len(self.parameters)

    def recorded_at(self, at: list[float]) -> Recording:
        """f recorded at other numbers; the parameters are set in place while it runs."""
        return self._run(at, Plain())

    def traced(self) -> Recording:
        """f recorded at the point of the check, with the user's lines."""
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
        """The result of f at other numbers, in the current decimal context.

        The parameters are set in place as well: a comparison or `.data` reads their doubles.
        """
        exact = [Decimal(x) for x in at]
        run = Run(dict(zip(self.parameters, exact[self.count :], strict=True)))
        carriers = iter([Carrier(run, x) for x in exact[: self.count]])
        self.same_draws()
        with self._moved(at[self.count :]), entered(run):
            return run.decimal(self.f(*rebuilt(list(self.inputs), carriers)))

    @context
    def _moved(self, to: list[float]) -> Iterator[None]:
        undo = number_writer(self.parameters, numbers(self.parameters))
        try:
            number_writer(self.parameters, to)()
            yield
        finally:
            undo()


def record(f: Function, inputs: tuple[Tree, ...], parameters: Any) -> Case:
    """The case for a function, which is run twice at the inputs.

    Raises TypeError unless f returns one Value, and ValueError if f is not deterministic.
    """
    flat = list(leaves(list(inputs)))
    named = named_parameters(parameters)
    chosen = [parameter for _, parameter in named]
    at = [leaf.data if isinstance(leaf, Value) else number(leaf, "an input") for leaf in flat]
    case = Case(
        f=f, inputs=inputs, at=at + [p.data for p in chosen],
        labels=input_labels(f, inputs) + [name for name, _ in named], parameters=chosen,
        recorded=Recording(Value(0.0), []), same_draws=_same_draws(),
    )  # fmt: skip
    case.recorded = case.traced()
    first, second = case.recorded.root.data, case.recorded_at(case.at).root.data
    if second.hex() != first.hex():
        raise ValueError(
            f"check_gradients: f gave {first!r} and then {second!r} for the same inputs; "
            "seed its random numbers, and let it keep no state between runs"
        )
    return case


def _same_draws() -> Callable[[], object]:
    """A function that puts Python's and NumPy's random generators back into their state now."""
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return lambda: random.setstate(state)
    array = numpy.random.get_state()
    return lambda: (random.setstate(state), numpy.random.set_state(array))


def input_labels(f: Function, inputs: tuple[Tree, ...]) -> list[str]:
    """The name of each input: its label, or f's argument and the path inside it.

    >>> input_labels(lambda w, p, *rest: None, (1.0, {"b": [2.0]}, 3.0))
    ['w', "p['b'][0]", 'rest[0]']
    """
    named = paths(argument_names(f, len(inputs)), inputs)
    flat = leaves(list(inputs))
    return [getattr(leaf, "label", "") or path for leaf, path in zip(flat, named, strict=True)]


def operands_of(node: Value) -> list[float]:
    """The numbers of the node's operands."""
    assert node.op is not None
    return [node.x, node.y] if node.op.arity == 2 else [node.x]
