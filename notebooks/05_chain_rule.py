# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What does the chain rule do in gradient flow?
#
# An operation z = h(x, y) knows its two local derivatives, dz/dx and dz/dy, at the numbers x and y. Later
# in the graph there is a loss L. In the backward pass, the operation receives dL/dz and adds to the
# gradients of its operands:
#
# $$\frac{\partial L}{\partial x} \mathrel{+}= \frac{\partial L}{\partial z} \, \frac{\partial z}{\partial x}
# \qquad \frac{\partial L}{\partial y} \mathrel{+}= \frac{\partial L}{\partial z} \, \frac{\partial z}{\partial y}$$
#
# That is its whole job. The rest of this notebook looks at this rule from different sides.

# %%
from autograd import Value, draw, explain, finite_differences, grad, topological

x, y = Value(0.5, "x"), Value(-2.0, "y")
z = x * y
L = z.tanh()
L.backward()

print(f"local derivatives: dz/dx = {z.dx:8.4f}   dz/dy = {z.dy:8.4f}")
print(f"it receives:       dL/dz = {z.grad:8.4f}")
print(f"it passes on:      dL/dx = {x.grad:8.4f}   dL/dy = {y.grad:8.4f}")

# %% tags=["check"]
assert x.grad == z.grad * z.dx
assert y.grad == z.grad * z.dy

# %% [markdown]
# This is the graph of the same computation. Each edge shows the local derivative and the gradient that it
# passed on.

# %%
draw(L, edges=True)

# %% [markdown]
# You can check this yourself. A derivative tells you how much L changes if you change an input. So change
# each input a little and measure. We do this here and for the gradients below:


# %%
def compare(f, *point):
    """Print each gradient of f and, for comparison, the slope between two points close by."""
    every = tuple(range(len(point)))
    for k, exact, slope in zip(
        every, grad(f, every)(*point), finite_differences(f, *point), strict=True
    ):
        print(f"input {k}: gradient {exact:12.8f}   differences {slope:12.8f}")
        if abs(exact - slope) > 1e-8 * max(1.0, abs(exact)):
            raise ValueError("the gradient is wrong")


compare(lambda x, y: (x * y).tanh(), 0.5, -2.0)

# %% [markdown]
# ## Contributions add up
#
# If a value is used several times, a change in it reaches the loss along several paths, and the effects
# add up. This is the `+` in `+=`. With `=`, each contribution would overwrite the one before it.

# %%
a = Value(3.0, "a")
L = a * a + a
L.backward()
print("dL/da =", a.grad, "  (2a + 1 = 7)")
compare(lambda a: a * a + a, 3.0)

# %% tags=["check"]
assert a.grad == 7.0

# %% [markdown]
# `play` shows the same pass as a list of events. `a` receives three contributions: one from the sum and
# two from a · a, because this one operation uses `a` twice. The last line shows their sum.

# %%
from autograd import play

for event in play(L):
    print(event)

# %% [markdown]
# ## Why the order matters
#
# A node may pass on its gradient only when the gradient is complete, that is, when every consumer has
# added its contribution. In a topological order, operands come before results. If you walk it backwards,
# every gradient is complete in time. Below, we walk one graph in the right order and in a wrong order. In
# the wrong order, `b` passes on its gradient before `c` has added its contribution, so the answer is wrong.

# %%
a = Value(1.0, "a")
b = a * 2.0
c = b * 3.0
L = b + c
L.backward()
draw(L, edges=True)


# %%
def walk(order):
    """The gradient of the leaf if the pullbacks run in the given order."""
    for node in topological(L):
        node.grad = 0.0
    L.grad = 1.0
    for node in order:
        node.op.pullback(node)
    return a.grad


right = walk([L, c, b])
wrong = walk([L, b, c])
print("right order:", right, "  wrong order:", wrong)
compare(lambda a: a * 2.0 + a * 2.0 * 3.0, 1.0)

# %% tags=["check"]
assert (right, wrong) == (8.0, 2.0)

# %% [markdown]
# It is easy to pick this wrong order. "First the nodes nearest to the loss" sounds right, but it is the
# wrong order above: `b` is one step away from L on its short path and two steps on its long path. The long
# path counts.
#
# ## Paths
#
# The gradient is also a sum over all paths from L to the leaf. Each path contributes the product of its
# local derivatives. Backpropagation never lists the paths, because it shares their common parts. Sixty
# doublings have 2^60 paths, but one backward pass needs only sixty steps.

# %%
print(explain(L, a))

v = Value(1.0)
doubled = v
for _ in range(60):
    doubled = doubled + doubled
doubled.backward()
print("paths:", f"{explain(doubled, v).count:,}", "  gradient:", f"{v.grad:,.0f}")

# %% [markdown]
# Here is the first of these sums as a formula:

# %%
from IPython.display import Math

Math(explain(L, a).latex())

# %% tags=["check"]
assert explain(L, a).total == 8.0
assert v.grad == explain(doubled, v).count == 2**60

# %% [markdown]
# ## A path is a product
#
# A product of many numbers goes to 0 or to infinity, unless the numbers are close to 1 in size. This is
# why gradients vanish or explode. Here are ten sigmoids in a row, ten tanhs, and ten doublings:

# %%
import math


def chain(step, leaf):
    """The results of applying the same step ten times."""
    nodes = [leaf]
    for _ in range(10):
        nodes.append(step(nodes[-1]))
    return nodes[1:]


gradients = {}
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
    gradients[name] = leaf.grad, math.prod(factors), slope

# %% tags=["check"]
for gradient, product, slope in gradients.values():
    assert math.isclose(gradient, product, rel_tol=1e-12)
    assert math.isclose(gradient, slope, rel_tol=1e-3)

# %% [markdown]
# ## Which step size is best for finite differences?
#
# If the step is too large, the curve bends between the two points. If it is too small, digits cancel. The
# best step is in between, and it is not the smallest one. (`check_gradients` needs no step size, because
# it computes with more digits.)


# %%
from nn import plots


def neuron(w, x, b):
    """A neuron with one input."""
    return (w * x + b).tanh()


point = (2.0, -1.0, 0.5)
exact = grad(neuron, (0, 1, 2))(*point)
steps = [10.0 ** (-k / 4) for k in range(2, 54)]
errors = [abs(finite_differences(neuron, *point, step=step)[0] - exact[0]) for step in steps]
best = steps[errors.index(min(errors))]
print(f"best step {best:.0e}, error {min(errors):.0e}")

# %% tags=["plot"]
figure = plots.figure(6.8, 3.6)
axes = figure.subplots()
axes.plot(steps, errors, "o-", color=plots.COLORS[0], markersize=3, linewidth=1)
axes.set(xscale="log", yscale="log", xlabel="step", ylabel="error of dy/dw")
axes.annotate("digits cancel: 1e-16 / step", (7e-14, 3e-11))
axes.annotate("the curve bends: step²", (0.4, 3e-11), ha="right")
axes.grid(alpha=0.3)
figure

# %% tags=["check"]
assert 1e-7 < best < 1e-4
assert min(errors) < 1e-9

# %% [markdown]
# ## Which operation is wrong?
#
# A usual gradient check tells you that something is wrong. `check_gradients` also tells you where, because
# it checks every operation and every sum separately. Here are two classic mistakes, planted in the engine
# itself: a tanh whose derivative uses the operand instead of the result, and `=` instead of `+=`.

# %%
from autograd import check_gradients
from autograd.faults import faults, misread, planted

with planted(misread("tanh", "x", "1 - x * x")):
    report = check_gradients(neuron, *point)
print(report)

# %% tags=["check"]
assert not report

# %%
overwrite = next(fault for fault in faults() if fault.kind == "overwrite")
with planted(overwrite):
    report = check_gradients(lambda a: a * a + a, 3.0)
print(report)

# %% tags=["check"]
assert not report
assert check_gradients(neuron, *point)  # outside the `with` block, everything is correct again

# %% [markdown]
# Now find a mistake that you do not know. `hidden(seed)` plants one of about six hundred mistakes. The
# answer goes into `envelope`, which stays empty until the `with` block ends. Change the seed, and look for
# the wrong operation before you read the answer.

# %%
from autograd import check_operation, rows
from autograd.faults import hidden

with hidden(seed=18) as envelope:
    suspects = [op.name for op in rows().values() if not check_operation(op)]
print("suspects:", suspects)
print("answer:  ", envelope[0])

# %% tags=["check"]
assert suspects == [envelope[0].split(":")[0]]

# %% [markdown]
# ## Step through it
#
# This player shows one event of the pass at a time. Use the arrow keys, click a node, or change an input
# and watch all other numbers change. The quiz asks for the next gradient. `h` receives three contributions
# here: one from h - y and two from h · h. Watch how `h` waits for all three before it passes its gradient
# on.

# %%
w, x, b, target = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b"), Value(1.0, "y")
h = (w * x + b).tanh()
h.label = "h"


def squares(w, x, b, y):
    """The same function again, for the differences."""
    h = (w * x + b).tanh()
    return (h - y) ** 2 + h * h


compare(squares, 2.0, -1.0, 0.5, 1.0)
play((h - target) ** 2 + h * h)

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** L = (x·y + x)², and x = 2, y = 3. What is dL/dx?

# %%
from nn import exercises

answer = ...
exercises.check("5.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Call the sum u = x·y + x = 8. dL/du = 2u = 16. x reaches u along two paths, with the slopes y = 3 and 1.
# So dL/dx = 16 · (3 + 1) = 64.
# </details>
#
# **2.** And what is dL/dy?

# %%
answer = ...
exercises.check("5.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# 16 · du/dy = 16 · x = 32.
# </details>
#
# **3.** h = x·x and L = h·h. How many paths lead from L to x?

# %%
answer = ...
exercises.check("5.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Four. From L to h there are two edges, and from h to x there are two. Check with
# `explain(L, x).count`.
# </details>
#
# **4.** A gradient of 1 goes back through ten sigmoids in a row. How large can it be at the other end, at most?

# %%
answer = ...
exercises.check("5.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The slope of a sigmoid is at most 1/4, so the product is at most 0.25^10, about 1e-6.
# </details>
#
# **5.** z = x / y receives g = dL/dz. Write a function that returns what it passes on, [dL/dx, dL/dy].

# %%
answer = ...  # a function of x, y, g
exercises.check("5.5", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# `answer = lambda x, y, g: [g / y, -g * x / y**2]`
# </details>
