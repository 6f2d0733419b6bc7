# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What is a neuron?
#
# A neuron multiplies each input by a weight, adds a bias, and applies an activation function f to the
# sum:
#
# $$y = f(w_1 x_1 + w_2 x_2 + \dots + b)$$
#
# That is the whole definition. Here is a neuron with two inputs. The lines show its weights, and the
# circle shows its output:

# %%
from nn import Neuron, plots

neuron = Neuron(2, "tanh", seed=0)
neuron.load_state_dict({"weights": [0.5, 0.25], "bias": 0.3})
plots.draw_network(neuron, [1.0, -2.0])

# %% [markdown]
# This notebook first writes the formula out with scalars that remember how they were computed. Then it
# tries several activations, teaches a neuron AND, and shows a problem that a neuron cannot learn.

# %%
from autograd import Value, draw

x1, x2 = Value(1.0, "x1"), Value(-2.0, "x2")
w1, w2, b = Value(0.5, "w1"), Value(0.25, "w2"), Value(0.3, "b")
u = w1 * x1 + w2 * x2 + b
y = u.tanh()
u.label, y.label = "u", "y"
y.backward()
print(f"u = {u.data:.4f}   y = tanh(u) = {y.data:.4f}")
draw(y)

# %% [markdown]
# A value can also show its formula:

# %%
from IPython.display import Math

Math(y.latex())

# %% [markdown]
# Each box in the picture shows a value and the derivative of y with respect to that value. The
# gradient of a weight is its input times f'(u). The gradient of an input is its weight times f'(u).
# The bias has the constant input 1, so its gradient is f'(u) itself.

# %%
slope = y.dx
print(
    f"f'(u) = {slope:.4f}   dy/dw1 = {w1.grad:.4f}   dy/dw2 = {w2.grad:.4f}   dy/db = {b.grad:.4f}"
)

# %% tags=["check"]
assert w1.grad == slope * x1.data
assert w2.grad == slope * x2.data
assert x1.grad == slope * w1.data
assert b.grad == slope

# %% [markdown]
# `nn.Neuron` computes the same sum in the same order, so the result has the same bits.

# %%
print(neuron)
print(neuron([1.0, -2.0]).data == y.data)

# %% tags=["check"]
assert neuron([1.0, -2.0]).data == y.data

# %% [markdown]
# ## What the weight and the bias do
#
# With one input, y = tanh(w x + b) is a smooth step. Its center is where w x + b = 0, at x = -b/w.
# The weight sets how steep the step is (the slope at the center is w) and whether it goes up or down.
# The bias moves it left or right.

# %%
plots.functions({f"w = {w:g}": lambda x, w=w: (w * x).tanh() for w in (0.5, 1.0, 4.0, -1.0)})

# %%
plots.functions({f"b = {b:g}": lambda x, b=b: (x + b).tanh() for b in (-2.0, 0.0, 2.0)})

# %% tags=["check"]
assert all(Value(1.0 * x + b).tanh().data == 0.0 for x, b in ((2.0, -2.0), (0.0, 0.0), (-2.0, 2.0)))

# %% [markdown]
# ## What the activation does
#
# Without an activation, more layers do not help. A linear function of a linear function is linear, so
# two linear layers in a row can do no more than one.

# %%
from nn import MLP

deep = MLP([2, 3, 1], None, seed=0)


def at(a, b):
    """The output of the two linear layers."""
    return deep([a, b])[0].data


# A linear function is fully described by its value at 0 and its slopes.
base = at(0.0, 0.0)
slopes = at(1.0, 0.0) - base, at(0.0, 1.0) - base
print(
    f"two layers, {len(deep.parameters())} parameters, but only y = {slopes[0]:.3f} x1 {slopes[1]:+.3f} x2"
)

# %% tags=["check"]
assert abs(at(-3.0, 7.0) - (base - 3.0 * slopes[0] + 7.0 * slopes[1])) < 1e-12

# %% [markdown]
# So f must be nonlinear. The choice of f matters less for what a network can represent than for what it
# can learn, because every gradient that passes through the neuron is multiplied by f'(u). The dashed lines
# show f'.

# %%
names = ["sigmoid", "tanh", "relu", "leaky_relu", "silu", "gelu"]
activations = {name: lambda x, name=name: getattr(x, name)() for name in names}
plots.functions(activations, -5.0, 5.0, separate=True, xlabel="u")

# %%
from autograd import value_and_grad

us = [k / 40 - 5.0 for k in range(401)]
print(" activation    largest f'    f'(0)   f'(-5)    f'(5)")
for name, f in activations.items():
    slopes = [value_and_grad(f)(u)[1] for u in us]
    print(f"{name:>11} {max(slopes):13.4f} {slopes[200]:8.4f} {slopes[0]:8.4f} {slopes[-1]:8.4f}")

# %% [markdown]
# The table shows the details:
#
# - sigmoid passes on at most a quarter of a gradient. Ten sigmoids in a row pass on at most a millionth.
# - tanh passes on the whole gradient, but only near 0.
# - relu passes on all of the gradient or none. It has no derivative at 0. By convention, f'(0) is
#   *defined* as 0, here as in other libraries. So the 0.0000 in the middle column is a choice and not a
#   measurement.
# - leaky_relu always passes on something. silu and gelu dip below zero, so f' changes its sign.
#
# The oldest activation, the step of the perceptron, has the derivative 0 everywhere except at the jump,
# where it has none. Gradient descent cannot train it, so it is no longer used.

# %% tags=["check"]
assert value_and_grad(lambda x: x.sigmoid())(0.0)[1] == 0.25
assert value_and_grad(lambda x: x.relu())(0.0)[1] == 0.0
assert all(value_and_grad(lambda x: x.sign())(x)[1] == 0.0 for x in us)

# %% [markdown]
# ## A neuron learns AND
#
# With two inputs, the line w1 x1 + w2 x2 + b = 0 divides the plane into two sides. For AND, one corner
# of the square must be on one side and three on the other. Such a line exists, and gradient descent
# finds it. (The neuron returns a logit, the number before the sigmoid. `04_losses` explains why.)

# %%
from functools import partial

from nn import binary_crossentropy, fit
from nn.metrics import classes
from nn.optim import SGD

corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
loss = partial(binary_crossentropy, from_logits=True)


def trained(model, targets, epochs):
    """The model after the given number of steps, and its last loss."""
    history = fit(model, (corners, targets), loss=loss, optimizer=SGD(model, lr=1.0), epochs=epochs)
    return model, history.loss[-1]


AND = [0, 0, 0, 1]
for epochs in (10, 100, 1000):
    neuron, last = trained(Neuron(2, seed=0), AND, epochs)
    (w1, w2), b = neuron.weights, neuron.bias
    print(
        f"{epochs:5} steps   loss {last:.4f}   w = {w1.data:6.3f}, {w2.data:6.3f}   b = {b.data:7.3f}"
        f"   crosses the x1 axis at {-b.data / w1.data:.3f}"
    )
plots.decision_boundary(neuron, (corners, AND), steps=100)

# %% tags=["check"]
assert classes([neuron(x) for x in corners]) == AND

# %% [markdown]
# The loss never reaches 0, and the weights never stop growing. Once the line is right, the loss can
# only fall if the neuron becomes more certain, and larger weights make it more certain. So the line
# stays near 1.5 while |w| keeps growing, more and more slowly.
#
# ## The same neuron fails at XOR

# %%
XOR = [0, 1, 1, 0]
neuron, last = trained(Neuron(2, seed=0), XOR, 1000)
z = [neuron(x).data for x in corners]
print(f"loss {last:.6f}   probabilities", *(f"{Value(x).sigmoid().data:.2f}" for x in z))

# %% tags=["check"]
assert abs(last - Value(2.0).log().data) < 1e-9
assert max(abs(p.data) for p in neuron.parameters()) < 1e-9

# %% [markdown]
# The neuron is not stuck: this *is* the best that a neuron can do. The loss is convex in w and b,
# because -log sigmoid is convex and the logit is linear in w and b. The gradient at w = b = 0 is exactly
# 0, so this point is the minimum. There the neuron answers 1/2 for every input, and the loss is log 2.
#
# Another loss would not help. XOR needs b < 0, w1 + b > 0, w2 + b > 0 and w1 + w2 + b < 0. Add the two
# inequalities in the middle: w1 + w2 + 2b > 0. Subtract the last one: b > 0. That contradicts the first.

# %%
from autograd import grad


def xor_loss(w1, w2, b):
    """The mean cross-entropy of the neuron on the four corners."""
    return loss([w1 * x + w2 * y + b for x, y in corners], XOR)


print("gradient at 0:", grad(xor_loss, (0, 1, 2))(0.0, 0.0, 0.0))

# %% tags=["check"]
assert grad(xor_loss, (0, 1, 2))(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)

# %% [markdown]
# ## Two layers of neurons learn XOR
#
# A hidden layer moves the corners to new points, and a line can separate these. The first picture shows
# the plane with the network's answer. The second is the network itself, for the corner 0 1. The third
# shows the outputs of the two hidden neurons for all corners, and the line of the last neuron. The network
# has put the corners 0 0 and 1 1, which need the same answer, almost at the same point.

# %%
model, last = trained(MLP([2, 2, 1], "tanh", seed=0), XOR, 400)
print(f"loss {last:.4f}")
plots.decision_boundary(model, (corners, XOR), steps=100)

# %%
plots.draw_network(model, [0.0, 1.0])

# %% tags=["check"]
assert classes([model(x) for x in corners]) == XOR

# %% tags=["plot"]
hidden, output = model.layers
seen = [[h.data for h in hidden(x)] for x in corners]
(v0, v1), c = (w.data for w in output.neurons[0].weights), output.neurons[0].bias.data
figure = plots.figure(5.6, 4.4)
axes = figure.subplots()
h0 = [-1.4, 1.4]
axes.plot(h0, [-(v0 * h + c) / v1 for h in h0], color="0.35", label="the last neuron's line")
for corner, (a, b), target in zip(corners, seen, XOR, strict=True):
    axes.scatter(a, b, s=70, color=plots.COLORS[target], zorder=3)
    name = f"{corner[0]:.0f} xor {corner[1]:.0f} = {target}"
    above = 12 if corner[1] else -12
    axes.annotate(name, (a, b), (0, above), textcoords="offset points", ha="center", va="center")
axes.set(xlim=(-1.4, 1.4), ylim=(-1.3, 1.3), xlabel="hidden neuron 0", ylabel="hidden neuron 1")
axes.legend(frameon=False, loc="lower left")
figure

# %% [markdown]
# Two hidden neurons *can* represent XOR. That does not mean that they always *learn* it. This loss is no
# longer convex, and from many starting points gradient descent gets stuck. The remedy is to use more
# neurons than necessary. Then it is more likely that some of them start in a good place.

# %%
for width in (2, 4, 8):
    lasts = [trained(MLP([2, width, 1], "tanh", seed=seed), XOR, 200)[1] for seed in range(10)]
    learned = sum(last < 0.2 for last in lasts)
    print(f"{width} hidden neurons: {learned} of 10 starts learn XOR in 200 steps")

# %% tags=["check"]
assert learned >= 9

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** A neuron has the weights 2 and -1, the bias 0.5 and the activation tanh. What does it return for
# x = (1, 3)?

# %%
from nn import exercises

answer = ...
exercises.check("1.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The sum is 2·1 - 1·3 + 0.5 = -0.5, and tanh(-0.5) = -0.462.
# </details>
#
# **2.** For the same neuron and the same inputs, what is dy/dw2?

# %%
answer = ...
exercises.check("1.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The slope of tanh at the sum is 1 - y² = 0.786. w2 is multiplied by x2 = 3, so dy/dw2 = 3 · 0.786 = 2.36.
# </details>
#
# **3.** Where is the center of the step y = tanh(4x - 2)?

# %%
answer = ...
exercises.check("1.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The center is where 4x - 2 = 0, at x = 0.5.
# </details>
#
# **4.** Find w1, w2 and b of a neuron that computes OR: the sum is below 0 for the corner 0 0 and above 0
# for the other three.

# %%
answer = ...  # [w1, w2, b]
exercises.check("1.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# One of many: [1, 1, -0.5].
# </details>
#
# **5.** Write a neuron with two inputs and tanh as a function.

# %%
answer = ...  # a function of w1, w2, x1, x2, b
exercises.check("1.5", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# `answer = lambda w1, w2, x1, x2, b: (w1 * x1 + w2 * x2 + b).tanh()`
# </details>
