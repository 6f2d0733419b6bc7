# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What does the chain rule do in gradient flow?
#
# An operation z = h(x, y) knows two things about itself: dz/dx and dz/dy at the numbers it was
# given. A loss L somewhere downstream tells it dL/dz. Its whole job in backpropagation is to pass
#
# dL/dx += dL/dz · dz/dx  and  dL/dy += dL/dz · dz/dy
#
# to its operands. Everything below is that line, looked at from different sides.

# %%
from autograd import Value, draw, explain, grad, topological

x, y = Value(3.0, "x"), Value(-2.0, "y")
z = x * y
L = z.tanh()
L.backward()

print("the operation's own knowledge: dz/dx =", z.dx, " dz/dy =", z.dy)
print("what it is told:               dL/dz =", z.grad)
print("what it passes on:             dL/dx =", x.grad, " dL/dy =", y.grad)
assert x.grad == z.grad * z.dx
assert y.grad == z.grad * z.dy

# %% [markdown]
# The picture of the same thing. On each edge: the local derivative, and what flowed along it.

# %%
draw(L, edges=True)

# %% [markdown]
# ## A fork adds up
#
# When a value is used twice, a change of it reaches the loss by two ways, and the effects add.
# That is the `+` in `+=`. Use `=` and the second way overwrites the first.

# %%
a = Value(3.0, "a")
L = a * a + a
L.backward()
print("dL/da =", a.grad, "  (2a + 1 = 7)")
assert a.grad == 7.0

# %% [markdown]
# ## Why the order matters
#
# A node may pass on its gradient only when it is complete, when every consumer has added its part.
# An order in which operands come before results (topological), walked backwards, guarantees it.
# Here is the same graph walked in a wrong order, and the wrong answer that comes of it: `b` passes
# its gradient on before `c` has been told to add to it.

# %%
a = Value(1.0, "a")
b = a * 2.0
c = b * 3.0
L = b + c


def walk(order):
    """The pullbacks in the given order, and what the leaf gets."""
    for node in topological(L):
        node.grad = 0.0
    L.grad = 1.0
    for node in order:
        node.op.pullback(node)
    return a.grad


right = walk([L, c, b])
wrong = walk([L, b, c])
print("right order:", right, "  wrong order:", wrong)
assert (right, wrong) == (8.0, 2.0)

# %% [markdown]
# ## Paths
#
# Unroll the sums and the gradient is one product of local derivatives per path. Backpropagation
# never lists the paths; it shares their common parts. Sixty doublings make 2^60 paths, and one
# backward pass of sixty steps.

# %%
print(explain(L, a))

v = Value(1.0)
doubled = v
for _ in range(60):
    doubled = doubled + doubled
doubled.backward()
print("paths:", v.grad)
assert v.grad == 2.0**60

# %% [markdown]
# ## Ask the numbers
#
# A derivative is a limit of differences, so differences can referee. The step matters: too large
# and the curve bends, too small and the digits cancel. (`check_gradients` chooses it, and says what
# error it could have seen.)


# %%
def neuron(w, x, b):
    """The neuron of the primer."""
    return (w * x + b).tanh() if isinstance(w, Value) else Value(w * x + b).tanh().data


point = (2.0, -1.0, 0.5)
exact = grad(neuron, (0, 1, 2))(*point)
for step in (1e-1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13):
    shifted = neuron(2.0 + step, -1.0, 0.5), neuron(2.0 - step, -1.0, 0.5)
    slope = (shifted[0] - shifted[1]) / (2 * step)
    print(f"step {step:7.0e}   dy/dw = {slope:.12f}   error {abs(slope - exact[0]):.0e}")

# %% [markdown]
# ## Who is to blame?
#
# `check_gradients` asks every operation by itself and every sum, so it says not only that a
# gradient is wrong but where. Here a mistake is planted that nobody has told you of; the report
# names it, and the envelope confirms.

# %%
from autograd import check_operation, rows
from autograd.faults import hidden

with hidden(seed=11) as envelope:
    suspects = [op.name for op in rows().values() if not check_operation(op)]
print("suspects:", suspects)
print("answer:  ", envelope[0])
assert suspects == [envelope[0].split(":")[0]]

# %% [markdown]
# ## Step through it
#
# Every event of the pass, one at a time: arrow keys, a click on a node, or change an input and see
# every number follow. The quiz asks for the next gradient.

# %%
from autograd import play

w, x, b, target = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b"), Value(1.0, "y")
h = (w * x + b).tanh()
h.label = "h"
play((h - target) ** 2 + h * h)
