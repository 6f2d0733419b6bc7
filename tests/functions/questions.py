"""What is asked of a random function: the same of the eager and of the compiled one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """An expression; its names are those of `prelude.prepared` and of a call.

    Attributes:
        text: in F, which is the eager function f and then the compiled function c.
        method: in c, where the compiled function has a method for it, and F is f alone.
        order: how often it differentiates.
        scalar: whether the function must return one number.
        plain: whether the function meets plain numbers.
    """

    name: str
    text: str
    method: str = ""
    order: int = 0
    scalar: bool = False
    plain: bool = False


_PART = "lambda *x: F(*x, *whole)"

# fmt: off
QUESTIONS = [
    Question("call", "F(*args)", plain=True),
    Question("call with Values", "F(*given)"),
    Question("call inside no_grad", "quiet(lambda: F(*args))", plain=True),
    Question("call with Values inside no_grad", "quiet(lambda: F(*given))"),
    Question("grad", "ag.grad(F, every)(*args)", order=1, scalar=True),
    Question("grad inside no_grad", "quiet(lambda: ag.grad(F, every)(*args))", order=1, scalar=True),
    Question("value_and_grad", "ag.value_and_grad(F, every)(*args)", order=1, scalar=True),
    Question("vjp", f"pulled({_PART}, floats)", order=1),
    Question("jvp", f"ag.jvp({_PART}, floats, along)", order=1),
    Question("backward", "backward(lambda: weighed(F(*given)), nodes)", order=1),
    Question("backward, plain arguments", "backward(lambda: weighed(F(*args)), leaves)", order=1, plain=True),
    Question("backward of a product", "backward(lambda: weighed(F(*given)) * nodes[0], nodes)", order=1),
    Question("backward, a leaf as argument", "backward(lambda: weighed(F(*shared)), nodes)", order=1),
    Question("grad of a composition", "ag.grad(lambda *x: ag.tanh(weighed(F(*x))), every)(*args)", order=1),
    Question("hessian", "ag.hessian(F)(*args)", order=2, scalar=True),
    Question("hvp", "ag.hvp(lambda x: F(x, *args[1:]), args[0], along[0])", order=2, scalar=True),
    Question("grad of grad", "ag.grad(lambda *x: weighed(ag.grad(F, every)(*x)), every)(*args)", order=2, scalar=True),
    Question("jvp of grad", "ag.jvp(lambda *x: ag.grad(F)(*x, *whole), floats, along)", order=2, scalar=True),
    Question("backward of a gradient", "backward(lambda: weighed(ag.grad(F, every)(*args)), leaves)", order=2, scalar=True),
    Question("backward of a gradient at Values", "backward(lambda: weighed(ag.grad(F, every)(*given)), nodes)", order=2, scalar=True),

    Question("compiled gradient", "ag.grad(f, every)(*args)",
             "once(c, 'grad', lambda: ag.compile(ag.grad(f, every), engine=engine, exact=exact))(*args)", order=1, scalar=True),
    Question("compiled in compiled", "weighed(f(*args)) * 0.5 + weighed(f(*args))",
             "once(c, 'outer', lambda: ag.compile(lambda *x: weighed(c(*x)) * 0.5 + weighed(c(*x)), engine=engine, exact=exact))(*args)", plain=True),
    Question("value_and_grad as a method", "data(ag.value_and_grad(f, every)(*args))", "c.value_and_grad(*args, argnums=every)", order=1, scalar=True),
    Question("backward as a method", "backward(lambda: f(*given), leaves)", "backward(lambda: [c.backward(*args)], leaves)", order=1, scalar=True),
    Question("parameter_gradients", "backward(lambda: f(*given), leaves)",
             "by_leaf(c.parameter_gradients(*args)[1], c.parameters, leaves)", order=1, scalar=True),
    Question("hvp as a method", "backward(lambda: weighed(slopes(lambda: f(*given), leaves)), leaves)", "products(c, args, leaves)", order=2, scalar=True),
    Question("rows", "[data(f(*values(row))) for row in rows]", "by_row(c(*stacked(rows)), len(rows))"),
    Question("value_and_grad of rows", "[data(ag.value_and_grad(f, every)(*row)) for row in rows]",
             "by_row(c.value_and_grad(*stacked(rows), argnums=every), len(rows))", order=1, scalar=True),
    Question("per_sample_gradients", "[backward(lambda: f(*values(row)), leaves) for row in rows]",
             "[by_leaf(slopes, c.parameters, leaves) for slopes in c.per_sample_gradients(*stacked(rows))]", order=1, scalar=True),
    Question("backward of the mean of rows", "backward(lambda: sum(f(*values(row)) for row in rows) / len(rows), leaves)",
             "backward(lambda: [once(c, 'mean', lambda: ag.compile(f, engine=engine, exact=exact, reduction='mean')).backward(*stacked(rows))], leaves)",
             order=1, scalar=True),
]
# fmt: on
