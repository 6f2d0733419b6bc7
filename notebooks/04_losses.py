# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What is a loss?
#
# A loss measures how wrong a network is, as one number. Gradient descent can then make this number
# smaller. These four losses are the most common:
#
# | | the network returns | the target is | loss of one sample |
# |---|---|---|---|
# | mean squared error (MSE) | a number z | a number y | (z - y)² |
# | binary cross-entropy (BCE) | a probability p | 0 or 1 | -log p if y = 1, else -log(1 - p) |
# | categorical cross-entropy (CCE) | a probability for each class | one-hot: [0, 1, 0] | -Σ y_k log p_k |
# | sparse categorical cross-entropy (SCCE) | the same | the class's index: 1 | -log p_y |
#
# The output layer must fit the loss. Use one sigmoid output for binary cross-entropy, as many softmax
# outputs as classes for categorical cross-entropy, and class indices for sparse categorical cross-entropy
# (with the same softmax outputs).
#
# The loss of a batch is the mean over its samples. Here is each loss, computed by hand and with the
# library:

# %%
import math

from autograd import Value
from nn import bce, cce, mse, scce

rows = [[0.05, 0.9, 0.05], [0.1, 0.7, 0.2]]
by_hand = {
    "MSE": ((2.5 - 3.0) ** 2 + (0.0 - -1.0) ** 2) / 2,
    "BCE": -(math.log(0.9) + math.log(1 - 0.2) + math.log(0.6)) / 3,
    "CCE": -(1 * math.log(0.9) + 1 * math.log(0.2)) / 2,
    "SCCE": -(math.log(0.9) + math.log(0.2)) / 2,
}
by_library = {
    "MSE": mse([2.5, 0.0], [3.0, -1.0]),
    "BCE": bce([0.9, 0.2, 0.6], [1, 0, 1]),
    "CCE": cce(rows, [[0, 1, 0], [0, 0, 1]]),
    "SCCE": scce(rows, [1, 2]),
}
for name, loss in by_library.items():
    print(f"{name:4}  by hand {by_hand[name]:.6f}   by the library {loss.data:.6f}")

# %% tags=["check"]
assert all(abs(by_library[name].data - by_hand[name]) < 1e-15 for name in by_hand)
assert by_library["CCE"].data == by_library["SCCE"].data

# %% [markdown]
# CCE with one-hot targets and SCCE are the same computation, because all terms but one have the weight 0.
# They differ only in how you write the target. BCE is CCE of two classes, where the logit of one class
# is 0:

# %%
z = 0.7
two = scce([[0.0, z]], [1], from_logits=True).data
single = bce([z], [1], from_logits=True).data
print(f"BCE {single:.6f}   CCE of two classes {two:.6f}")

# %% tags=["check"]
assert abs(single - two) < 1e-15

# %% [markdown]
# ## Where they come from
#
# Each of these losses is a negative log likelihood: minus the logarithm of the probability that the network
# gives to the data. If y is z plus normal noise with standard deviation 1, then
# -log N(y; z, 1) = (z - y)²/2 + log sqrt(2π). This is MSE, up to a factor and a constant, and these do not
# move the minimum. If y is a class drawn with the probabilities p, then -log P(y) = -log p_y. This is
# cross-entropy. (The probability that independent events happen together is the product of their
# probabilities. So its logarithm is a sum, and the loss of a batch is a mean.)

# %%
z, y = 0.3, 1.1
normal = math.exp(-((y - z) ** 2) / 2) / math.sqrt(2 * math.pi)
print(f"-log N(y; z, 1)            = {-math.log(normal):.6f}")
print(f"MSE / 2 + log sqrt(2 pi)   = {mse([z], [y]).data / 2 + math.log(2 * math.pi) / 2:.6f}")
print(f"-log (0.9 * 0.8 * 0.6) / 3 = {-math.log(0.9 * 0.8 * 0.6) / 3:.6f}")
print(f"BCE of 0.9, 0.2, 0.6       = {bce([0.9, 0.2, 0.6], [1, 0, 1]).data:.6f}")

# %% tags=["check"]
assert abs(-math.log(normal) - (mse([z], [y]).data / 2 + math.log(2 * math.pi) / 2)) < 1e-12
assert abs(-math.log(0.9 * (1 - 0.2) * 0.6) / 3 - bce([0.9, 0.2, 0.6], [1, 0, 1]).data) < 1e-12

# %% [markdown]
# The loss also decides the best answer if the same input appears with different targets. For MSE the best
# answer is the mean. For cross-entropy it is the share of each class. (For the mean *absolute* error it is
# the median.) At the best answer, the gradient is 0.

# %%
from nn import mae

best = {"MSE": Value(4.0), "MAE": Value(2.0), "BCE": Value(0.25)}
mse([best["MSE"]] * 3, [1.0, 2.0, 9.0]).backward()
mae([best["MAE"]] * 3, [1.0, 2.0, 9.0]).backward()
bce([best["BCE"]] * 4, [0, 0, 1, 0]).backward()
for name, targets in (("MSE", "1, 2, 9"), ("MAE", "1, 2, 9"), ("BCE", "0, 0, 1, 0")):
    z = best[name]
    print(
        f"{name} of the targets {targets} has its minimum at {z.data:g}: gradient {abs(z.grad):.2f}"
    )

# %% tags=["check"]
assert all(abs(z.grad) < 1e-12 for z in best.values())

# %% [markdown]
# ## The gradient is p - y
#
# A network does not compute p directly. It computes a logit z, which can be any number, and then
# p = sigmoid(z). For several classes, p = softmax(z). With cross-entropy on top, the chain rule gives
#
# $$\frac{\partial L}{\partial z} = \frac{\partial L}{\partial p} \, \frac{\partial p}{\partial z}
# = \frac{p - y}{p \, (1 - p)} \cdot p \, (1 - p) = p - y$$
#
# The complicated factors cancel. With softmax, the same happens for a whole row: the gradient is the
# predicted probabilities minus the target. (In a batch, it is divided by the batch size.)

# %%
from autograd import check_gradients
from nn import softmax

z = [Value(2.0, "z0"), Value(-1.0, "z1"), Value(0.5, "z2")]
loss = scce([z], [2], from_logits=True)
loss.label = "L"
loss.backward()
p = softmax([logit.data for logit in z])
print("softmax - onehot:", *(f"{q - (k == 2):9.6f}" for k, q in enumerate(p)))
print("dL/dz:           ", *(f"{logit.grad:9.6f}" for logit in z))

# %% tags=["check"]
assert all(
    abs(logit.grad - (q - (k == 2))) < 1e-15 for k, (logit, q) in enumerate(zip(z, p, strict=True))
)

# %% [markdown]
# The picture below shows the textbook formula. The target is class 2, so y = (0, 0, 1), and each edge shows
# p - y for its logit: 0.79 - 0, 0.04 - 0 and 0.18 - 1.

# %%
from autograd import draw

draw(loss, edges=True, detail="textbook")

# %% [markdown]
# The library computes the same number in another way. It subtracts the largest logit first, so that no
# exponential can overflow, and it never divides. If you multiply along the paths from a logit to L and add
# them up, you get the number on the edge above:

# %%
draw(loss, edges=True)

# %% tags=["check"]
textbook = draw(loss, edges=True, detail="textbook").source
assert all(f"= {logit.grad:.4g}".replace("-", "\u2212") in textbook for logit in z)

# %%
report = check_gradients(lambda *z: scce([z], [2], from_logits=True), 2.0, -1.0, 0.5)
report

# %% tags=["check"]
assert report

# %% [markdown]
# ## Why not MSE after a sigmoid?
#
# With MSE, the factors do not cancel. The gradient is 2 (p - y) · p (1 - p). The last factor goes to 0 at
# *both* ends, even where the network is certain and wrong. In this table the right answer is 1:

# %%
from autograd import value_and_grad


def squared(z):
    """MSE after a sigmoid, for the target 1."""
    return mse([z.sigmoid()], [1.0])


def crossentropy(z):
    """BCE, for the target 1."""
    return bce([z], [1], from_logits=True)


print("       z        p       MSE  gradient       BCE  gradient")
for z in (-20.0, -10.0, -5.0, -2.0, 0.0, 2.0, 5.0):
    (a, slope_a), (b, slope_b) = value_and_grad(squared)(z), value_and_grad(crossentropy)(z)
    print(
        f"{z:8.0f} {Value(z).sigmoid().data:8.2f} {a:9.4f} {slope_a:9.1e} {b:9.4f} {slope_b:9.4f}"
    )

# %% tags=["check"]
assert abs(value_and_grad(squared)(-20.0)[1]) < 1e-8
assert abs(value_and_grad(crossentropy)(-20.0)[1] + 1.0) < 1e-8

# %%
from nn import plots

losses = {"MSE after a sigmoid": squared, "cross-entropy": crossentropy}
plots.functions(losses, -8.0, 8.0, xlabel="logit z")

# %% [markdown]
# Now we start a neuron where it is certain and wrong, and train it with each of the two losses.

# %%
from nn import Neuron, fit, sigmoid
from nn.metrics import accuracy
from nn.optim import SGD

inputs, targets = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]


def taught(loss, steps=100):
    """The losses and the accuracy of a neuron that starts with w = -6."""
    neuron = Neuron(1, seed=0)
    neuron.load_state_dict({"weights": [-6.0], "bias": 0.0})
    run = fit(neuron, (inputs, targets), loss=loss, optimizer=SGD(neuron, lr=0.5), epochs=steps)
    return run.loss, accuracy([neuron(x) for x in inputs], targets)


runs = {
    "MSE": taught(lambda z, y: mse([sigmoid(logit) for logit in z], y)),
    "BCE": taught(lambda z, y: bce(z, y, from_logits=True)),
}
for name, (losses, share) in runs.items():
    print(f"{name}: {losses[0]:.4f} -> {losses[-1]:.4f} in 100 steps, accuracy {share:.0%}")

# %% tags=["check"]
assert (runs["MSE"][1], runs["BCE"][1]) == (0.0, 1.0)

# %% [markdown]
# ## Surfaces
#
# These pictures show the loss of a neuron sigmoid(w x + b) for many w and b. The data are six points, and
# no neuron can get all of them right. Cross-entropy is a bowl with one minimum (the star), and every
# downhill path leads to it. MSE has plateaus. The orange line shows 100 steps from w = -6. In the left
# picture it is only a dot, and its small movement is away from the star.

# %%
points = [[-2.0], [-1.2], [-0.4], [0.3], [1.1], [2.0]], [0, 0, 1, 0, 1, 1]
side = 41
ws = [-8.0 + 16.0 * i / (side - 1) for i in range(side)]
bs = [-5.0 + 10.0 * i / (side - 1) for i in range(side)]
both = {
    "MSE after a sigmoid": lambda z, y: mse([sigmoid(logit) for logit in z], y),
    "cross-entropy": lambda z, y: bce(z, y, from_logits=True),
}


def surface(loss):
    """The loss at each (w, b), with one row for each b."""
    return [[loss([w * x + b for (x,) in points[0]], points[1]).data for w in ws] for b in bs]


def path(loss):
    """The path of gradient descent from w = -6."""
    neuron = Neuron(1, seed=0)
    neuron.load_state_dict({"weights": [-6.0], "bias": 0.0})
    optimizer = SGD(neuron, lr=0.5)
    run = fit(neuron, points, loss=loss, optimizer=optimizer, epochs=100, watch=True)
    return [(-6.0, 0.0), *run.weights]


heights = {name: surface(loss) for name, loss in both.items()}
paths = {name: path(loss) for name, loss in both.items()}
for name, steps in paths.items():
    print(f"{name}: 100 steps lead to w = {steps[-1][0]:.2f}")
plots.surfaces(ws, bs, heights, paths)

# %% [markdown]
# A bowl is convex: between two points it never lies above the line that joins them. MSE after a sigmoid
# is not convex. We count the points of the grid that lie above the mean of their two neighbors:


# %%
def bends(grid):
    """The number of grid points whose value is above the mean of their neighbors along w."""
    return sum(
        row[i] > (row[i - 1] + row[i + 1]) / 2 + 1e-9 for row in grid for i in range(1, side - 1)
    )


for name, grid in heights.items():
    print(f"{name}: concave along w at {bends(grid)} of {side * (side - 2)} grid points")

# %% tags=["check"]
assert abs(paths["cross-entropy"][-1][0] - 1.6) < 0.1
assert paths["MSE after a sigmoid"][-1][0] < -6.0
assert bends(heights["cross-entropy"]) == 0 < bends(heights["MSE after a sigmoid"])

# %% [markdown]
# ## What happens at p = 0
#
# -log 0 is infinite, and that is right: the network said that this could never happen, and it happened.
# The library does not hide this. It warns you and tells you what to do.

# %%
import warnings

from autograd import NonFiniteWarning

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", NonFiniteWarning)
    lost = bce([0.0], [1])
print(lost.data)
print(caught[0].message)

# %% tags=["check"]
assert lost.data == math.inf
assert bce([0.0], [0]).data == 0.0

# %% [markdown]
# Many libraries clamp p to at least 1e-7 instead. Then the loss is finite, but the gradient is 0. The
# network gets no signal exactly where it is most wrong.

# %%
p = Value(0.0)
clamped = bce([p.maximum(1e-7)], [1])
clamped.backward()
print(f"clamped: loss {clamped.data:.2f}, gradient {p.grad}")

# %% tags=["check"]
assert p.grad == 0.0

# %% [markdown]
# ## Why logits
#
# In most cases, rounding causes the infinity. Suppose the network computes z = 40. Then p = sigmoid(40) is
# 1 - 4e-18, but there is no float between 1 - 1e-16 and 1. So p is rounded to 1, and the information is
# lost before the loss sees it. With the logit, nothing is lost, because log(sigmoid(z)) is one operation
# with its own formula. (This table prints p with all digits, to show the rounding.)

# %%
print("      z   sigmoid(z)                 BCE of p     BCE of z   (y = 0)")
for z in (10.0, 30.0, 36.0, 40.0, 1000.0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        p = Value(z).sigmoid().data
        rounded = bce([p], [0]).data
    exact = Value(z)
    loss = bce([exact], [0], from_logits=True)
    loss.backward()
    print(f"{z:7.0f}   {p:<22}  {rounded:12.8f}  {loss.data:11.6f}   gradient {exact.grad:.6f}")

# %% tags=["check"]
assert rounded == math.inf
assert (loss.data, exact.grad) == (1000.0, 1.0)

# %% [markdown]
# Softmax rounds in the same way. A naive version also overflows, because e^1000 is too large for a float.
# So here too, give the logits to the loss.

# %%
z = [Value(1000.0), Value(-1000.0)]
loss = scce([z], [1], from_logits=True)
loss.backward()
print("loss", loss.data, " gradient", [logit.grad for logit in z])

# %% tags=["check"]
assert loss.data == 2000.0
assert [logit.grad for logit in z] == [1.0, -1.0]

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** A network says p = 0.8, and the target is 0. What is its binary cross-entropy?

# %%
from nn import exercises

answer = ...
exercises.check("4.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# For the target 0 it is -log(1 - p) = -log 0.2 = 1.61.
# </details>
#
# **2.** A network gives three classes the probabilities 0.1, 0.7 and 0.2, and the target is the index 2. What is the
# sparse categorical cross-entropy?

# %%
answer = ...
exercises.check("4.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Indices start at 0, so index 2 has the probability 0.2, and the loss is -log 0.2 = 1.61.
# </details>
#
# **3.** The logits of two classes are 2 and 0, and the target is the class 0. What is dL/dz of the first logit?

# %%
answer = ...
exercises.check("4.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The probability of class 0 is e² / (e² + 1) = sigmoid(2) = 0.881, and the gradient is p - y = 0.881 - 1 =
# -0.119.
# </details>
#
# **4.** A photo can show several of five animals at once, or none of them. Which output layer and which loss
# should the network have?
#
# - a: five outputs, softmax, categorical cross-entropy
# - b: five outputs, each with a sigmoid and binary cross-entropy
# - c: five outputs, softmax, sparse categorical cross-entropy
# - d: five outputs, each with a sigmoid and mean squared error

# %%
answer = ...  # "a", "b", "c" or "d"
exercises.check("4.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# b. These are five yes-or-no questions, so each output is a probability of its own.
# </details>
#
# **5.** Write binary cross-entropy for one sample as a function.

# %%
answer = ...  # a function of p, y
exercises.check("4.5", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# `answer = lambda p, y: -(y * p.log() + (1 - y) * (1 - p).log())`
# </details>
