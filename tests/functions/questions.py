"""What is asked of a random function: the same of the eager and of the compiled one."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Question:
    """An expression; its names are those of `prelude.py` and of `prelude.prepared`.

    Attributes:
        text: in F, which is the eager function f and then the compiled function c.
        method: in c, where the compiled function has a method for it, and F is f alone.
        mirror: in f, the same numbers in another mode of the engine; asked at nan and inf, where
            the second differentiator says nothing.
        order: how often it differentiates.
        scalar: whether the function must return one number.
        plain: whether the function meets plain numbers.
        kinds: whether Values must be Values; a compiled call inside no_grad gives numbers.
    """

    name: str
    text: str
    method: str = ""
    mirror: str = ""
    order: int = 0
    scalar: bool = False
    plain: bool = False
    kinds: bool = True


_PART = "lambda *x: F(*x, *whole)"
_TOTAL = "lambda: weighed(F(*given))"
_SECOND = "lambda *x: weighed(ag.grad(F, every)(*x))"

CALLS = [
    Question("call", "F(*args)", plain=True),
    Question("call with Values", "F(*given)"),
    Question("call inside no_grad", "quiet(lambda: F(*args))", plain=True, kinds=False),
    Question("call with Values inside no_grad", "quiet(lambda: F(*given))", kinds=False),
]
FIRST = [
    Question("vjp", f"pulled({_PART}, floats)", mirror=f"pulled({_PART}, given[: len(floats)])"),
    Question("jvp", f"ag.jvp({_PART}, floats, along)", mirror=f"pushed({_PART}, floats, along)"),
    Question("backward", f"backward({_TOTAL}, nodes)", mirror=f"slopes({_TOTAL}, nodes)"),
    Question(
        "backward, plain arguments", "backward(lambda: weighed(F(*args)), leaves)", plain=True
    ),
    Question("backward of a product", f"backward({_TOTAL} * nodes[0], nodes)"),
    Question("backward, a leaf as argument", "backward(lambda: weighed(F(*shared)), nodes)"),
    Question("grad of a composition", "ag.grad(lambda *x: ag.tanh(weighed(F(*x))), every)(*args)"),
]
FIRST_OF_SCALARS = [
    Question("grad", "ag.grad(F, every)(*args)", mirror="ag.grad(F, every)(*given)"),
    Question("grad inside no_grad", "quiet(lambda: ag.grad(F, every)(*args))", kinds=False),
    Question("value_and_grad", "ag.value_and_grad(F, every)(*args)"),
]
SECOND = [
    Question("hessian", "ag.hessian(F)(*args)"),
    Question("hvp", "ag.hvp(lambda x: F(x, *args[1:]), args[0], along[0])"),
    Question("grad of grad", f"ag.grad({_SECOND}, every)(*args)"),
    Question("jvp of grad", "ag.jvp(lambda *x: ag.grad(F)(*x, *whole), floats, along)"),
    Question("backward of a gradient", f"backward(lambda: ({_SECOND})(*args), leaves)"),
    Question("backward of a gradient at Values", f"backward(lambda: ({_SECOND})(*given), nodes)"),
]
METHODS = [
    Question(
        "compiled in compiled",
        "weighed(f(*args)) * 0.5 + weighed(f(*args))",
        "beside(c, lambda *x: weighed(c(*x)) * 0.5 + weighed(c(*x)))(*args)",
        plain=True,
    ),
    Question("rows", "[data(f(*values(row))) for row in rows]", "by_row(c(*stacked(rows)), rows)"),
]
METHODS_OF_SCALARS = [
    Question(
        "compiled gradient", "ag.grad(f, every)(*args)", "beside(c, ag.grad(f, every))(*args)"
    ),
    Question(
        "value_and_grad as a method",
        "data(ag.value_and_grad(f, every)(*args))",
        "c.value_and_grad(*args, argnums=every)",
    ),
    Question(
        "backward as a method",
        "backward(lambda: f(*given), leaves)",
        "backward(lambda: [c.backward(*args)], leaves)",
    ),
    Question(
        "parameter_gradients",
        "backward(lambda: f(*given), leaves)",
        "by_leaf(c.parameter_gradients(*args)[1], c.parameters, leaves)",
    ),
    Question(
        "value_and_grad of rows",
        "[data(ag.value_and_grad(f, every)(*row)) for row in rows]",
        "by_row(c.value_and_grad(*stacked(rows), argnums=every), rows)",
    ),
    Question(
        "per_sample_gradients",
        "[backward(lambda: f(*values(row)), leaves) for row in rows]",
        "[by_leaf(g, c.parameters, leaves) for g in c.per_sample_gradients(*stacked(rows))]",
    ),
    Question(
        "backward of the mean of rows",
        "backward(lambda: sum(f(*values(row)) for row in rows) / len(rows), leaves)",
        "backward(lambda: [beside(c, f, reduction='mean').backward(*stacked(rows))], leaves)",
    ),
]
HVP = Question(
    "hvp as a method",
    "backward(lambda: weighed(slopes(lambda: f(*given), leaves)), leaves)",
    "products(c, args, leaves)",
)


def _like(questions: list[Question], order: int = 0, scalar: bool = False) -> list[Question]:
    return [replace(question, order=order, scalar=scalar) for question in questions]


QUESTIONS = [
    *CALLS,
    *_like(FIRST, 1),
    *_like(FIRST_OF_SCALARS, 1, scalar=True),
    *_like(SECOND, 2, scalar=True),
    *METHODS,
    *_like(METHODS_OF_SCALARS, 1, scalar=True),
    *_like([HVP], 2, scalar=True),
]
