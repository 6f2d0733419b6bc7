"""Which numbers are positive however they are rounded: 1 + x * x is, whatever x is.

Such a number is never close to 0, so rounding cannot change what a comparison with 0 decides.
"""

import ast
from typing import Any

import numpy as np

from autograd import rules
from autograd.compiled.lowering import CONTRACT, GATHER, ROW, SHARED, Instruction
from autograd.compiled.tape import Tape
from autograd.operation import Operation
from autograd.value import rows

Array = Any
_NEVER_NEGATIVE = {"fabs", "exp", "exp2", "sqrt", "cosh"}  # functions of libm
_LARGE = 2.0**-60  # no product of two such constants underflows, not even in single precision


def positive(tape: Tape, instructions: list[Instruction], slots: int) -> Array:
    """For each lane, whether its number is above 0 in every engine, or nan.

    So are sums without negative terms in which one term is a positive constant.
    """
    above, never = np.zeros(slots, dtype=bool), np.zeros(slots, dtype=bool)
    begun, nothing = np.zeros(slots, dtype=bool), np.zeros(slots, dtype=bool)
    others = np.zeros(tape.parameters, dtype=bool)
    large = np.concatenate([tape.constants > _LARGE, others, [True]])  # a one is behind them
    plain = np.concatenate([tape.constants >= 0.0, others, [True]])

    def known(addresses: Array, shared: Array, lanes: Array) -> Array:
        k = addresses - SHARED
        return np.where(k < 0, lanes[np.where(k < 0, addresses, 0)], shared[np.maximum(k, 0)])

    for step in instructions:
        if step.kind in (CONTRACT, GATHER):
            z, x, y = step.products
            good = (known(x, plain, never) & known(y, plain, never)) | (x == y)
            never[z[~begun[z]]] = True
            begun[z] = True
            never[z[~good] if step.sign > 0 else z] = False
            above[z[known(x, large, nothing) & known(y, large, nothing)]] = True
        elif step.kind == ROW:
            op = rows()[tape.ops[step.op]]
            sides = zip("xy", step.pool, strict=False)
            never[step.results] = _never_negative(
                op, {v for v, pool in sides if known(pool, plain, never).all()}
            )
    return above & never


def _never_negative(op: Operation, operands: set[str]) -> bool:
    """Whether the value of a row is 0 or above, if these operands are."""
    return _good(rules.expand(rules.written_out(op.value_tree, op.where_trees), rows()), operands)


def _good(tree: ast.AST, operands: set[str]) -> bool:
    """Whether the value of a part of a row is 0 or above."""
    match tree:
        case ast.Constant(value=value):
            return bool(value >= 0)  # type: ignore[operator]
        case ast.Name(id=name):
            return name in operands
        case ast.BinOp(left=left, op=ast.Add() | ast.Mult() | ast.Div() as sign, right=right):
            square = isinstance(sign, ast.Mult) and ast.dump(left) == ast.dump(right)
            return square or (_good(left, operands) and _good(right, operands))
        case ast.IfExp(body=body, orelse=orelse):
            return _good(body, operands) and _good(orelse, operands)
        case ast.Call(func=ast.Name(id=name)):
            return rows()[name].libm in _NEVER_NEGATIVE
    return False
