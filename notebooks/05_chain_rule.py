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
# > dL/dx += dL/dz · dz/dx  and  dL/dy += dL/dz · dz/dy
#
# to its operands. Everything below is that line, looked at from different sides.

# %%
from autograd import Value, draw, explain, finite_differences, grad, topological

x, y = Value(0.5, "x"), Value(-2.0, "y")
z = x * y
L = z.tanh()
L.backward()

print(f"the operation's own knowledge: dz/dx = {z.dx:8.4f}   dz/dy = {z.dy:8.4f}")
print(f"what it is told:               dL/dz = {z.grad:8.4f}")
print(f"what it passes on:             dL/dx = {x.grad:8.4f}   dL/dy = {y.grad:8.4f}")
assert x.grad == z.grad * z.dx
assert y.grad == z.grad * z.dy

# %% [markdown]
# The picture of the same thing. On each edge: the local derivative, and what flowed along it.

# %%
draw(L, edges=True)

# %% [markdown]
# Nobody has to believe this. A derivative says how much L moves when an input does, so move each
# input a little and look. Here, and beside every gradient below:


# %%
def beside(f, *point):
    """Prints each gradient of f and, beside it, the slope between two points close by."""
    every = tuple(range(len(point)))
    for k, exact, slope in zip(
        every, grad(f, every)(*point), finite_differences(f, *point), strict=True
    ):
        print(f"input {k}: gradient {exact:12.8f}   differences {slope:12.8f}")
        assert abs(exact - slope) < 1e-8 * max(1.0, abs(exact))


beside(lambda x, y: (x * y).tanh(), 0.5, -2.0)

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
beside(lambda a: a * a + a, 3.0)

# %% [markdown]
# `play` has the same pass as a list of events. `+=` happens to `a` three times, and the sum is in
# the last line: a · a is one operation, but it uses `a` twice.

# %%
from autograd import play

for event in play(L):
    print(event)

# %% [markdown]
# ## Why the order matters
#
# A node may pass on its gradient only when it is complete, when every consumer has added its part.
# An order in which operands come before results (topological), walked backwards, guarantees it.
# Here is the same graph walked in a wrong order, and the wrong answer that comes of it: `b` passes
# its gradient on before `c` has added its part.

# %%
a = Value(1.0, "a")
b = a * 2.0
c = b * 3.0
L = b + c
L.backward()
draw(L, edges=True)


# %%
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
beside(lambda a: a * 2.0 + a * 2.0 * 3.0, 1.0)

# %% [markdown]
# The wrong order is not exotic. "First the nodes nearest to the loss" sounds right, and is this
# one: `b` is one step away from L by the short way and two by the long way. What counts is the long
# way.
#
# ## Paths
#
# Unroll the sums and the gradient is one product of local derivatives per path. Backpropagation
# never lists the paths; it shares their common parts. Sixty doublings make 2^60 paths, and one
# backward pass of sixty steps.

# %%
print(explain(L, a))
assert explain(L, a).total == 8.0

v = Value(1.0)
doubled = v
for _ in range(60):
    doubled = doubled + doubled
doubled.backward()
print("paths:", f"{explain(doubled, v).count:,}", "  gradient:", f"{v.grad:,.0f}")
assert v.grad == explain(doubled, v).count == 2**60

# %% [markdown]
# ## A path is a product
#
# And products of many numbers go to 0 or to infinity, unless the numbers are near 1 in size. That
# is all there is to vanishing and exploding gradients. Ten sigmoids in a row, ten tanhs, and ten doublings:

# %%
import math


def chain(step, leaf):
    """The results of ten times the same step."""
    nodes = [leaf]
    for _ in range(10):
        nodes.append(step(nodes[-1]))
    return nodes[1:]


for name, step in {
    "sigmoid(x)": lambda x: x.sigmoid(),
    "tanh(x)": lambda x: x.tanh(),
    "2 x": lambda x: x * 2.0,
}.items():
    leaf = Value(0.5)
    nodes = chain(step, leaf)
    nodes[-1].backward()
    factors = [node.dx for node in nodes]
    (slope,) = finite_differences(lambda x, step=step: chain(step, x)[-1], 0.5)
    shown = " ".join(f"{factor:.2f}" for factor in factors)
    print(f"{name:>10}: {shown}   gradient {leaf.grad:.3g}, differences {slope:.3g}")
    assert math.isclose(leaf.grad, math.prod(factors), rel_tol=1e-12)
    assert math.isclose(leaf.grad, slope, rel_tol=1e-3)

# %% [markdown]
# ## Which step do differences need?
#
# Too large and the curve bends, too small and the digits cancel. Between them is a best step, and
# it is not the smallest one. (`check_gradients` needs none: it computes in more digits.)


# %%
from nn import plots


def neuron(w, x, b):
    """The neuron of the primer."""
    return (w * x + b).tanh()


point = (2.0, -1.0, 0.5)
exact = grad(neuron, (0, 1, 2))(*point)
steps = [10.0 ** (-k / 4) for k in range(2, 54)]
errors = [abs(finite_differences(neuron, *point, step=step)[0] - exact[0]) for step in steps]

figure = plots.figure(6.8, 3.6)
axes = figure.subplots()
axes.plot(steps, errors, "o-", color=plots.COLORS[0], markersize=3, linewidth=1)
axes.set(xscale="log", yscale="log", xlabel="step", ylabel="error of dy/dw")
axes.annotate("digits cancel: 1e-16 / step", (7e-14, 3e-11))
axes.annotate("the curve bends: step²", (0.4, 3e-11), ha="right")
axes.grid(alpha=0.3)
best = steps[errors.index(min(errors))]
assert 1e-7 < best < 1e-4
assert min(errors) < 1e-9
figure

# %% [markdown]
# ## Who is to blame?
#
# A gradient check says that something is wrong. `check_gradients` also says where, because it asks
# every operation by itself, and every sum. Two classics, planted in the engine itself: a tanh that
# takes its operand for its result, and `=` instead of `+=`.

# %%
from autograd import check_gradients
from autograd.faults import faults, misread, planted

with planted(misread("tanh", "x", "1 - x * x")):
    report = check_gradients(neuron, *point)
print(report)
assert not report

# %%
overwrite = next(fault for fault in faults() if fault.kind == "overwrite")
with planted(overwrite):
    report = check_gradients(lambda a: a * a + a, 3.0)
print(report)
assert not report
assert check_gradients(neuron, *point)  # and outside of `with` all is well

# %% [markdown]
# Now one that nobody has told you of. `hidden(seed)` picks one of some four hundred mistakes and
# puts the answer into an envelope that is empty until the end. Change the seed, and look for the
# culprit yourself before you open it.

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
# every number follow. The quiz asks for the next gradient. `h` is used twice here; watch its
# gradient wait for the second part.

# %%
w, x, b, target = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b"), Value(1.0, "y")
h = (w * x + b).tanh()
h.label = "h"


def squares(w, x, b, y):
    """The same once more, for the differences."""
    h = (w * x + b).tanh()
    return (h - y) ** 2 + h * h


beside(squares, 2.0, -1.0, 0.5, 1.0)
play((h - target) ** 2 + h * h)
