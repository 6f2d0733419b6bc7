"""A recorded graph as a list of steps in decimals: its values, and its slopes by reverse sweeps."""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal

from autograd.check.accuracy import near
from autograd.check.case import Recording, operands_of
from autograd.check.slopes import STEP, decades, is_kink, slope
from autograd.operation import Operation
from autograd.order import visited
from autograd.printers import decimals
from autograd.value import Value

_DIGITS = 60  # a step of 1e-25 for each slope, 20 digits of a difference, and 15 to spare
_MORE = 30  # sweep i has this many times 2^i further digits
_SWEEPS = 4  # a slope that still changes in the last sweep is unknown
_SPREAD = 15  # a double's digits: numbers that differ by more decades need more decimal digits

# The result's place, the operation, its value in decimals, and the operands' places (-1: none).
Step = tuple[int, Operation, Callable[..., Decimal], int, int]


class Program:
    """The graph of a recording, which runs in decimals at any numbers for its inputs.

    Attributes:
        places: the index of each node in the result of a run; constants come after the nodes.
        digits: enough for the graph; more if numbers of very different sizes meet.
        turned: the most `decades` of an operation; steps must be smaller by as many.
    """

    def __init__(self, recording: Recording) -> None:
        self.inner, ends = visited(recording.root)
        order = dict.fromkeys([*recording.nodes, *ends, *self.inner])
        self.places: dict[Value, int] = {node: i for i, node in enumerate(order)}
        self.inputs = [self.places[node] for node in recording.nodes]
        self.root = self.places[recording.root]
        self.start = [Decimal(node.data) if not node.op else Decimal(0) for node in order]
        self.steps: list[Step] = []
        for node in self.inner:
            assert node.op is not None
            i = self._place(node.a, node.x)
            j = self._place(node.b, node.y) if node.op.arity == 2 else -1
            self.steps.append((self.places[node], node.op, decimals.value(node.op), i, j))
        self.digits, self.turned = _enough(self.inner)

    def _place(self, parent: Value | None, number: float) -> int:
        if parent is not None:
            return self.places[parent]
        self.start.append(Decimal(number))
        return len(self.start) - 1

    def moved(self, at: Iterable[Decimal]) -> list[Decimal]:
        """The numbers of all nodes at other inputs, in the current decimal context."""
        data = [*self.start]
        for place, x in zip(self.inputs, at, strict=True):
            data[place] = x
        return self.run(data, self.steps)

    def run(self, data: list[Decimal], steps: list[Step]) -> list[Decimal]:
        """The numbers after these steps, which change `data` in place."""
        for place, _, value, i, j in steps:
            data[place] = value(data[i]) if j < 0 else value(data[i], data[j])
        return data

    def downstream(self, k: int) -> list[Step]:
        """The steps that depend on input k."""
        reached = {self.inputs[k]}
        steps = []
        for step in self.steps:
            if step[3] in reached or step[4] in reached:
                reached.add(step[0])
                steps.append(step)
        return steps


class Sweep:
    """d(root)/d(node) by one reverse pass over the graph; its partials are differences.

    At a kink, where a row has no slope, the partial that the engine uses is taken.

    Attributes:
        slopes: d(root)/d(node) by the node's place; places without an entry have 0.
        kinks: the nodes at a kink that the root depends on, the last one first.
    """

    def __init__(self, program: Program, pulls: dict[Value, list[float]], more: int = 0) -> None:
        self.program = program
        self.slopes: dict[int, Decimal] = {program.root: Decimal(1)}
        self.kinks: list[Value] = []
        dependent = set(program.inputs)
        for step in program.steps:
            if step[3] in dependent or step[4] in dependent:
                dependent.add(step[0])
        # The step must shrink too: where a sum is 0, errors of the step squared remain.
        relative = STEP.scaleb(-more // 3)
        with decimals.digits(program.digits + more):
            data = program.moved(program.start[place] for place in program.inputs)
            for node, (place, op, _, i, j) in zip(
                reversed(program.inner), reversed(program.steps), strict=True
            ):
                adjoint = self.slopes.get(place)
                if not adjoint:
                    continue
                at = [data[i]] if j < 0 else [data[i], data[j]]
                kinked = is_kink(op, at)
                self.kinks += [node] * kinked
                for k, parent in enumerate((i, j)[: len(at)]):
                    if parent in dependent:
                        if kinked:
                            partial = Decimal(pulls[node][k])
                        else:
                            partial = slope(op, k, at, data[place], relative)
                        self.slopes[parent] = self.slopes.get(parent, 0) + adjoint * partial

    def slope(self, k: int) -> Decimal:
        """The slope in input k."""
        return self.slopes.get(self.program.inputs[k], Decimal(0))

    def of(self, k: int) -> float:
        """The slope in input k, as a double."""
        return float(self.slope(k))

    def upstream(self) -> set[int]:
        """The inputs that a node at a kink depends on."""
        reached = {self.program.places[node] for node in self.kinks}
        for place, _, _, i, j in reversed(self.program.steps):
            if place in reached:
                reached |= {i, j}
        return {k for k, place in enumerate(self.program.inputs) if place in reached}


class Sweeps:
    """Sweeps with more digits and smaller steps each, for gradients that differ from the first."""

    def __init__(self, program: Program, pulls: dict[Value, list[float]]) -> None:
        self.program, self.pulls = program, pulls
        self.first = Sweep(program, pulls)
        self._all = [self.first]

    def sure(self, k: int) -> float:
        """The slope in input k with enough digits that more do not change it; otherwise nan."""
        for i in range(1, _SWEEPS):
            if i == len(self._all):
                self._all.append(Sweep(self.program, self.pulls, _MORE * 2**i))
            before, after = (sweep.of(k) for sweep in self._all[i - 1 : i + 1])
            if near(before, after):
                return after
        # A slope that shrinks with every sweep is the rounding error of a sum that is 0.
        return 0.0 if abs(after) < abs(self.first.of(k)) * 10.0**-_MORE else math.nan


def _enough(inner: list[Value]) -> tuple[int, int]:
    """The digits that these nodes need, and the most decades of one."""
    least, largest, turned = math.inf, -math.inf, 0.0
    for node in inner:
        assert node.op is not None
        turned = max(turned, decades(node.op, operands_of(node)))
        for x in operands_of(node):
            if x and math.isfinite(x):
                size = math.log10(abs(x))
                least, largest = min(least, size), max(largest, size)
    spread = largest - least
    more = int(2 * spread) if spread > _SPREAD else 0
    return _DIGITS + int(2 * turned) + more, int(turned)
