"""The comparisons for which a recording is valid, where the program runs outside of this engine."""

import numpy as np

from autograd.compiled.tape import Tape
from autograd.compiled.traced import COMPARISONS
from autograd.textbook import place


def exact_guards(tape: Tape, target: str) -> list[list[int]]:
    """The comparisons of whole inputs and constants, which a program elsewhere can check exactly.

    Raises ValueError for any other, which would need Python's other branch.
    """
    exact = np.zeros(len(tape), dtype=bool)
    exact[: len(tape.constants)] = True
    exact[tape.sources - tape.inputs : tape.sources] = tape.whole
    guards: list[list[int]] = tape.guards.tolist()
    for k, left, right, answer in guards:
        if not (exact[left] and exact[right]):
            comparison = f"{_told(tape, left)} {list(COMPARISONS)[k]} {_told(tape, right)}"
            raise ValueError(
                f"{target}: the recording is valid only while {comparison} is {bool(answer)}, and "
                "a program elsewhere cannot run Python's other branch; use autograd.where, maximum "
                "or relu in place of the comparison"
            )
    return guards


def _told(tape: Tape, node: int) -> str:
    """A node of the tape, for a message."""
    constants = len(tape.constants)
    if node < constants:
        return f"{float(tape.constants[node])!r}"
    if node < tape.sources:
        i = node - constants
        inside = i < tape.parameters
        return f"parameter {i}" if inside else f"input {i - tape.parameters}"
    i = node - tape.sources
    label, scope, line = tape.notes[tape.note[i]]
    name = label or (tape.ops[tape.code[i]] if tape.code[i] >= 0 else "a choice")
    where = ", ".join(part for part in (place(scope), line) if part)
    return f"{name} ({where})" if where else name
