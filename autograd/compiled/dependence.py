"""Which inputs and parameters the results of a recording depend on."""

from collections.abc import Iterator
from functools import cached_property

from autograd.compiled.tape import Tape
from autograd.compiled.traced import SELECT
from autograd.value import rows


class Dependence:
    """What the outputs of a tape depend on.

    Args:
        tape: the tape.
        slopes: whether to follow only operands that get a gradient, and so no operand of a step,
            whose derivative is 0 everywhere.
    """

    def __init__(self, tape: Tape, slopes: bool) -> None:
        self.tape = tape
        stops = [
            tuple(slopes and text == "0.0" for text in rows()[op].texts[1:]) for op in tape.ops
        ]
        self._operands = list(_operands(tape, stops))

    @cached_property
    def outputs(self) -> list[int]:
        """For each output, bits that say what it depends on: the lowest bit stands for the
        parameters, and each higher one for an input."""
        tape = self.tape
        bits = [0] * len(tape.constants) + [1] * tape.parameters
        bits += [2 << i for i in range(tape.inputs)]
        for operands in self._operands:
            union = 0
            for operand in operands:
                union |= bits[operand]
            bits.append(union)
        return [bits[at] for at in tape.outputs.tolist()]

    @cached_property
    def parameters(self) -> list[int]:
        """The parameters that any output depends on."""
        tape = self.tape
        alive = bytearray(len(tape))
        for at in tape.outputs.tolist():
            alive[at] = 1
        for i in range(len(self._operands) - 1, -1, -1):
            if alive[tape.sources + i]:
                for operand in self._operands[i]:
                    alive[operand] = 1
        start = len(tape.constants)
        return [k for k in range(tape.parameters) if alive[start + k]]


def _operands(tape: Tape, stops: list[tuple[bool, ...]]) -> Iterator[list[int]]:
    """For each computed node, the operands that it depends on."""
    tables = tape.tables.tolist()
    columns = (tape.code, tape.a, tape.b, tape.count, tape.cut)
    for code, a, b, count, cut in zip(*(column.tolist() for column in columns), strict=True):
        if cut:
            yield []
        elif code == SELECT:
            yield tables[b : b + count]
        elif code < 0:
            yield [a]
        else:
            yield [at for at, stop in zip((a, b), stops[code], strict=False) if not stop]
