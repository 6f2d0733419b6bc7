"""A program's instructions as a JAX function, for `jit`, `vmap`, `grad` and what JAX exports."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autograd.compiled.lowering import (
    CHOOSE,
    CONTRACT,
    GATHER,
    LARGEST,
    ROW,
    SHARED,
    Instruction,
)
from autograd.compiled.tape import Tape
from autograd.compiled.traced import COMPARISONS
from autograd.compiled.validity import exact_guards
from autograd.nestings import rebuilt
from autograd.printers.jax import refuse_single_precision, row_of_jax
from autograd.value import rows

Array = Any
_LETTERS = "abct"  # three loops over lanes, and the loop over terms


def function(
    tape: Tape, instructions: Sequence[Instruction], address: Array
) -> Callable[[Any, Any], Any]:
    """The function of an array of parameters and an array of inputs; see `Program.to_jax`."""
    guards = exact_guards(tape, "to_jax")
    ops = [rows()[name] for name in tape.ops]
    jax_rows = {step.op: row_of_jax(ops[step.op]) for step in instructions if step.kind == ROW}
    blocks = _blocks(instructions)
    outputs = address[tape.outputs]

    def program(parameters: Any, inputs: Any) -> Any:
        refuse_single_precision("a program as a JAX function")
        memory = _Memory(
            blocks,
            _checked(parameters, tape.parameters, "parameters"),
            _checked(inputs, tape.inputs, "inputs"),
            tape.constants,
        )
        for step in instructions:
            if step.kind == CONTRACT:
                _contract(step, memory)
            elif step.kind == GATHER:
                _gather(step, memory)
            elif step.kind == ROW:
                memory.accumulate(step.results, jax_rows[step.op](*_operands(step, memory)))
            else:
                memory.accumulate(step.results, _chosen(step, memory))
        results = memory.read(outputs)
        valid = _passed(guards, address, memory) & (results == results)
        # A product, so that the derivatives of what is nan or not valid are nan, too.
        results *= jnp.where(valid, 1.0, jnp.nan)
        return rebuilt(tape.form, iter([results[i] for i in range(len(outputs))]))

    return program


def _checked(numbers: Any, count: int, what: str) -> Any:
    array = jnp.asarray(numbers, jnp.float64)
    if array.shape != (count,):
        raise ValueError(
            f"expected an array of {count} {what}, got one of shape {array.shape}; use jax.vmap "
            "for the rows of a batch"
        )
    return array


def _blocks(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """The lanes as blocks, from the first lane to the one behind the last, none in two blocks.

    Instructions that write to the same lanes share a block.
    """
    spans = sorted((int(r.min()), int(r.max()) + 1) for r in (s.results for s in instructions))
    blocks: list[tuple[int, int]] = []
    for start, end in spans:
        if blocks and start < blocks[-1][1]:
            blocks[-1] = blocks[-1][0], max(end, blocks[-1][1])
        else:
            blocks.append((start, end))
    return blocks


def _passed(guards: list[list[int]], address: Array, memory: "_Memory") -> Any:
    """Whether the comparisons have the recorded answers."""
    passed = jnp.array(True)
    for k, left, right, answer in guards:
        x, y = memory.read(address[[left, right]])
        passed &= list(COMPARISONS.values())[k](x, y) == bool(answer)
    return passed


class _Memory:
    """The numbers of one sample while a program runs: shared ones, inputs, and blocks of lanes."""

    def __init__(
        self, blocks: list[tuple[int, int]], parameters: Any, inputs: Any, constants: Array
    ) -> None:
        # The number behind the shared ones is the constant one.
        self.shared = jnp.concatenate([jnp.asarray(constants), parameters, jnp.ones(1)])
        self.spans = [(0, len(inputs)), *blocks]
        self.starts = [start for start, _ in self.spans]
        self.arrays: list[Any] = [inputs, *([None] * len(blocks))]

    def _block(self, lane: int) -> int:
        # A program without inputs has an empty block at 0, in front of the one of lane 0.
        return int(np.searchsorted(self.starts, lane, side="right")) - 1

    def read(self, addresses: Array) -> Any:
        """The numbers at the addresses, in their shape."""
        at = np.ravel(addresses)
        shared = at >= SHARED
        if shared.any() and not shared.all():
            places = np.empty(len(at), dtype=np.int64)
            places[shared], places[~shared] = np.arange(shared.sum()), np.arange((~shared).sum())
            places[~shared] += shared.sum()
            both = [self.read(at[shared]), self.read(at[~shared])]
            return jnp.concatenate(both)[places].reshape(np.shape(addresses))
        if shared.all():
            source, at = self.shared, at - SHARED
        else:
            first, last = self._block(int(at.min())), self._block(int(at.max()))
            arrays = self.arrays[first : last + 1]  # all of earlier levels, so they are there
            source = arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays)
            at = at - self.starts[first]
        if len(at) > 1 and (np.diff(at) == 1).all():
            return source[int(at[0]) : int(at[0]) + len(at)].reshape(np.shape(addresses))
        return source[at].reshape(np.shape(addresses))

    def accumulate(self, lanes: Array, values: Any) -> None:
        """Add values to different lanes, which start at 0."""
        k = self._block(int(np.min(lanes)))
        start, end = self.spans[k]
        at, values = np.ravel(lanes) - start, jnp.ravel(values)
        before = jnp.zeros(end - start) if self.arrays[k] is None else self.arrays[k]
        if len(at) == end - start and (np.diff(at) == 1).all():
            self.arrays[k] = values if self.arrays[k] is None else before + values
        else:
            self.arrays[k] = before.at[at].add(values)


def _operands(step: Instruction, memory: _Memory) -> list[Any]:
    """The operands that are looked up; no gradient flows into those that want none."""
    numbers = [memory.read(pool) for pool in step.pool[:2]]
    return [
        x if wanted else jax.lax.stop_gradient(x)
        for x, wanted in zip(numbers, step.wanted, strict=False)
    ]


def _contract(step: Instruction, memory: _Memory) -> None:
    """z += sign * x * y, over up to three loops of lanes and one of terms."""
    factors, letters = [], []
    sides = (step.x, step.xs), (step.y, step.ys)
    for (base, strides), wanted in zip(sides, step.wanted, strict=True):
        loops = [d for d in range(4) if step.sizes[d] > 1 and strides[d]]
        numbers = memory.read(_grid(base, step.sizes, strides, loops))
        factors.append(numbers if wanted else jax.lax.stop_gradient(numbers))
        letters.append("".join(_LETTERS[d] for d in loops))
    over = [d for d in range(3) if step.sizes[d] > 1]
    result = "".join(_LETTERS[d] for d in over)
    # A loop in which both factors stand still repeats their product.
    missing = [d for d in range(4) if step.sizes[d] > 1 and _LETTERS[d] not in "".join(letters)]
    factors += [jnp.ones(step.sizes[d]) for d in missing]
    letters += [_LETTERS[d] for d in missing]
    sums = jnp.einsum(f"{','.join(letters)}->{result}", *factors, precision="highest")
    memory.accumulate(_grid(step.z, step.sizes, step.zs, over), step.sign * sums)


def _grid(base: int, sizes: tuple[int, ...], strides: tuple[int, ...], loops: list[int]) -> Array:
    """The addresses of one side of a contraction, over some loops."""
    grid = np.array(base, dtype=np.int64)
    for d in loops:
        grid = grid[..., None] + strides[d] * np.arange(sizes[d])
    return grid


def _gather(step: Instruction, memory: _Memory) -> None:
    """Sums of products that are looked up, of different lengths."""
    x, y = _operands(step, memory)
    lane = np.repeat(np.arange(step.lanes), step.counts)
    sums = jax.ops.segment_sum(x * y, lane, step.lanes, indices_are_sorted=True)
    memory.accumulate(step.results, step.sign * sums)


def _chosen(step: Instruction, memory: _Memory) -> Any:
    """The results of a choice by an index, of an argmax, or of a mask."""
    if step.kind not in (CHOOSE, LARGEST):
        _, index, places, instead = step.pool
        values, _ = _operands(step, memory)
        return jnp.where(memory.read(index) == places, memory.read(instead), values)
    starts = np.concatenate([[0], np.cumsum(step.counts)[:-1]])
    # Lists of one length: the last entry of a shorter one is repeated.
    columns = np.minimum(np.arange(step.counts.max()), (step.counts - 1)[:, None])
    entries = memory.read(step.pool[0][starts[:, None] + columns])
    if step.kind == LARGEST:
        nan = jnp.isnan(entries).any(axis=1)
        return jnp.where(nan, 0, jnp.argmax(entries, axis=1)).astype(jnp.float64)
    if not step.wanted[0]:
        entries = jax.lax.stop_gradient(entries)
    index = jnp.nan_to_num(memory.read(step.pool[1]), nan=0.0)
    index = jnp.clip(index, 0, step.counts - 1).astype(int)
    return jnp.take_along_axis(entries, index[:, None], 1)[:, 0]
