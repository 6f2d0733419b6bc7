# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # Is your own gradient right?
#
# Sooner or later, everyone who learns backpropagation writes it by hand. This notebook takes such a network,
# in NumPy and without any Value, and asks three questions: is its gradient right, where is it wrong, and which
# mistake was it?
#
# The network has one hidden layer with tanh, and a softmax with cross-entropy. It classifies irises.

# %%
import numpy as np

from nn.data import load_iris

flowers = load_iris().standardized()
X = np.array(flowers.features)[::5]
Y = np.eye(3)[np.array(flowers.targets)[::5]]


def loss(W1, b1, W2, b2):
    """The mean cross-entropy over the flowers."""
    h = np.tanh(X @ W1 + b1)
    z = h @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -(Y * np.log(p)).sum() / len(X)


def backward(W1, b1, W2, b2):
    """The gradient of the loss, by hand."""
    u = X @ W1 + b1
    h = np.tanh(u)
    z = h @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - Y) / len(X)
    dh = dz @ W2.T
    du = dh * (1 - u**2)
    return X.T @ du, du.sum(axis=0), h.T @ dz, dz.sum(axis=0)


rng = np.random.default_rng(0)
start = [rng.normal(0.0, 0.5, (4, 5)), np.zeros(5), rng.normal(0.0, 0.5, (5, 3)), np.zeros(3)]
print(f"{len(X)} flowers, {sum(w.size for w in start)} parameters, loss {loss(*start):.4f}")

# %% [markdown]
# ## It learns, so it must be right?
#
# `backward` has a mistake. Can you tell from the training?


# %%
def trained(gradient, steps=60, rate=0.1):
    """The losses of gradient descent with a gradient."""
    net, losses = [w.copy() for w in start], []
    for _ in range(steps):
        losses.append(loss(*net))
        net = [w - rate * g for w, g in zip(net, gradient(*net), strict=True)]
    return losses


losses = trained(backward)
print("loss:", *(f"{x:.3f}" for x in losses[::10]))

# %% tags=["check"]
assert losses[-1] < 0.5 * losses[0]

# %% [markdown]
# The loss falls. A wrong gradient often still points downhill, but not in the steepest direction. This is
# why such mistakes can go unnoticed for years.
#
# ## The check
#
# `check_gradients` takes any function and any claimed gradient. It needs no step and no tolerance: it measures
# the noise of your function and shows, for each number, how precise the check is.

# %%
from autograd import check_gradients

report = check_gradients(loss, *start, gradient=backward)
print(report.verdict.value)
wrong = {row.name.split("[")[0] for row in report.rows if row.verdict.value == "FAIL"}
print("wrong:", *sorted(wrong))

# %% tags=["check"]
assert not report
assert wrong == {"W1", "b1"}

# %% [markdown]
# The gradients of the output layer are right, and those of the hidden layer are not. So the mistake is
# between `dh` and `du`.
#
# ## Which mistake is it?
#
# `loss` is plain NumPy, so it also runs on Values. `diagnose` records its graph and replays the backward pass
# with every mistake that it knows, one at a time, until one gives exactly your numbers.

# %%
from autograd import diagnose

diagnosis = diagnose(loss, *start, gradient=backward)
print(diagnosis.line)

# %% tags=["check"]
assert "tanh" in diagnosis.line
assert "1 - z * z" in diagnosis.line

# %% [markdown]
# The derivative of tanh is 1 - h², with the *result* h. The code squares the sum u, which went into tanh. With
# the right line:


# %%
def corrected(W1, b1, W2, b2):
    """The gradient of the loss."""
    h = np.tanh(X @ W1 + b1)
    z = h @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - Y) / len(X)
    du = dz @ W2.T * (1 - h**2)
    return X.T @ du, du.sum(axis=0), h.T @ dz, dz.sum(axis=0)


print(check_gradients(loss, *start, gradient=corrected).verdict.value)
right = trained(corrected)
print(f"loss after 60 steps: {losses[-1]:.3f} with the mistake, {right[-1]:.3f} without")

# %% tags=["check"]
assert check_gradients(loss, *start, gradient=corrected)
assert right[-1] < losses[-1]

# %% [markdown]
# ## Why not just differences with a small step?
#
# Because nobody knows which step is right. Here is the largest error of plain differences over all parameters,
# compared with the right gradient. Single precision needs a step that is far too large for double precision.

# %%
exact = np.concatenate([g.ravel() for g in corrected(*start)])


def differences(step, precision):
    """The largest error of central differences with one step for all parameters."""
    flat = np.concatenate([w.ravel() for w in start])
    ends = np.cumsum([w.size for w in start])[:-1]

    def at(point):
        """The loss, with all numbers rounded to the precision."""
        parts = np.split(point.astype(precision), ends)
        rounded = [p.reshape(w.shape) for p, w in zip(parts, start, strict=True)]
        return float(np.asarray(loss(*rounded), dtype=precision))

    slopes = [(at(flat + step * e) - at(flat - step * e)) / (2 * step) for e in np.eye(len(flat))]
    return np.abs(np.array(slopes) - exact).max()


print("  step      double      single")
for exponent in (-2, -4, -6, -8, -10):
    print(
        f"{10.0**exponent:6.0e}  "
        + "  ".join(
            f"{differences(10.0**exponent, kind):10.1e}" for kind in (np.float64, np.float32)
        )
    )

# %% tags=["check"]
assert differences(1e-6, np.float64) < 1e-8
assert differences(1e-8, np.float32) > 0.1

# %% [markdown]
# ## In a test
#
# If a gradient is wrong, `assert_gradients` raises an error that contains the report. So one line is a
# whole unit test:

# %%
from autograd import assert_gradients


def test_backward():
    """The gradient of my network is right."""
    assert_gradients(loss, *start, gradient=corrected)


test_backward()

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** Central differences with the step h have an error of about h² because the function is curved, and
# an error of about noise/h because of rounding. A function has the noise 1e-9. For which h are the two
# errors equal?

# %%
from nn import exercises

answer = ...
exercises.check("7.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# h² = 1e-9 / h gives h³ = 1e-9, so h = 0.001.
# </details>
#
# **2.** Write the gradient of the mean squared error of two outputs with respect to these outputs.

# %%
answer = ...  # a function of z1, z2, y1, y2 that returns [dL/dz1, dL/dz2]
exercises.check("7.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# L = ((z1 - y1)² + (z2 - y2)²) / 2. The 2 from the square and the 1/2 from the mean cancel:
# `answer = lambda z1, z2, y1, y2: [z1 - y1, z2 - y2]`
# </details>
#
# **3.** In `backward`, somebody writes `du.mean(axis=0)` in place of `du.sum(axis=0)`. What will the check say?
#
# - a: everything is wrong
# - b: W1 and b1 are wrong
# - c: only b1 is wrong
# - d: nothing is wrong, because a factor does not matter

# %%
answer = ...  # "a", "b", "c" or "d"
exercises.check("7.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# c. Only the gradient of b1 uses this line. It is too small by the number of flowers.
# </details>
