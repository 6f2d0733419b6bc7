# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What does the learning rate do?
#
# One step of gradient descent is
#
# $$w := w - \text{rate} \cdot \frac{\partial L}{\partial w}$$
#
# The gradient tells you which way is down and how
# steep the loss is *here*. It does not tell you how far away the minimum is. The learning rate is a guess
# at that distance.
#
# ## On a parabola you need not guess
#
# Let L = curvature/2 · w². Then dL/dw = curvature · w, and a step multiplies w by
# 1 - rate · curvature. This factor decides what happens:
#
# | rate · curvature | w is multiplied by | result |
# |---|---|---|
# | near 0 | nearly 1 | w moves slowly |
# | 1 | 0 | w reaches the minimum in one step |
# | between 1 and 2 | -1 to 0 | w jumps across the minimum, and still converges |
# | above 2 | less than -1 | each jump is longer than the last, so w diverges |

# %%
from autograd import Value
from nn import plots

CURVATURE = 2.0


def walk(rate, steps, start=1.0):
    """The values of w that gradient descent visits on the parabola."""
    w, places = Value(start, "w"), [start]
    for _ in range(steps):
        w.grad = 0.0
        (0.5 * CURVATURE * w * w).backward()
        w.data -= rate * w.grad
        places.append(w.data)
    return places


for rate in (0.05, 0.5, 0.9, 1.1):
    places = walk(rate, 6)
    print(f"rate {rate:4}   factor {1 - rate * CURVATURE:5.2f}  ", *(f"{w:8.4f}" for w in places))

# %% tags=["check"]
for rate in (0.05, 0.5, 0.9, 1.1):
    factor = 1 - rate * CURVATURE
    assert all(abs(w - factor**k) < 1e-12 for k, w in enumerate(walk(rate, 6)))

# %% [markdown]
# The same walks as a picture. All four start at the same point, and each arrow is one step. With the high
# rate, w jumps from side to side and comes closer. With the rate that is too high, it also jumps from side
# to side, but each jump is longer than the last.

# %%
rates = {"too low": 0.05, "right": 0.4, "high": 0.9, "too high": 1.1}
walks = {f"{name}: {rate}": walk(rate, 8, 1.5) for name, rate in rates.items()}
plots.descent(lambda w: 0.5 * CURVATURE * w * w, walks, -3.2, 3.2, 9.0)

# %% [markdown]
# ## The bound 2 / λmax
#
# Near a point, a loss of many parameters is close to a parabola along each eigenvector of its Hessian.
# Each of these parabolas has its own curvature, but there is only one learning rate. The steepest
# parabola sets the limit, rate < 2/λmax. The flattest one sets how long training takes.
#
# Here is a small real example: predict the petal width of an iris from its petal length, with a line and
# the mean squared error. This loss is *exactly* quadratic, so the bound should be sharp. We try one
# percent below it and one percent above it:

# %%
from nn import MLP, fit, mse
from nn.data import load_iris
from nn.optim import SGD
from nn.study.curvature import largest_curvature

flowers = load_iris()
lengths = [[row[2]] for row in flowers.features]
widths = [row[3] for row in flowers.features]


def squared(outputs, targets):
    """The mean squared error of networks with one output."""
    return mse([z for (z,) in outputs], targets)


def descend(inputs, rate, epochs=60):
    """The losses of a line trained on the widths."""
    model = MLP([1, 1], None, seed=0)
    data = inputs, widths
    return fit(model, data, loss=squared, optimizer=SGD(model, lr=rate), epochs=epochs).loss


curvature = largest_curvature(MLP([1, 1], None, seed=0), (lengths, widths), squared)
bound = 2.0 / curvature
below, above = descend(lengths, 0.99 * bound), descend(lengths, 1.01 * bound)
print(f"lambda_max = {curvature:.3f}, so the bound is {bound:.4f}")
print("1 % below:", *(f"{x:8.4f}" for x in below[::12]))
print("1 % above:", *(f"{x:8.4f}" for x in above[::12]))

# %% tags=["check"]
assert below[-1] < below[12] < below[0]
assert above[-1] > above[12] > above[0]

# %% [markdown]
# The bound is right on both sides. Now take half of it, which is the best rate for the steep direction.
# One step is enough for that direction, but the flat direction hardly moves. Petal lengths from 1 to 7 cm
# with a mean of 3.8 make the loss a narrow ravine, and no rate is good for a ravine. A rounder loss
# helps: if you standardize the input, both curvatures become 2. Then the rate 1/2 reaches the minimum in
# one step, as on the parabola above.

# %%
mean = sum(x for (x,) in lengths) / len(lengths)
spread = (sum((x - mean) ** 2 for (x,) in lengths) / len(lengths)) ** 0.5
standard = [[(x - mean) / spread] for (x,) in lengths]
raw, round_ = descend(lengths, 0.5 * bound, 4), descend(standard, 0.5, 4)
print("as measured:  ", *(f"{x:8.5f}" for x in raw))
print("standardized: ", *(f"{x:8.5f}" for x in round_))

# %% tags=["check"]
assert abs(round_[1] - round_[3]) < 1e-9 < raw[3] - round_[3]

# %% [markdown]
# ## Four curves on real data
#
# Now we train a network on all four measurements of 120 irises, in batches of 12. We use four rates and
# the same starting point. `learning_rate_sweep` trains a copy of the network for each rate and describes
# the outcome in a word or two.

# %%
from functools import partial

from nn import learning_rate_sweep, sparse_categorical_crossentropy

train = flowers.split()[0].standardized()
loss = partial(sparse_categorical_crossentropy, from_logits=True)
model = MLP([4, 6, 3], "relu", seed=0)

sweep = learning_rate_sweep(
    model, train, loss=loss, rates=[0.001, 1.0, 5.0, 100.0], epochs=20, batch_size=12
)
print(sweep)
sweep.figure()

# %% tags=["check"]
assert sweep.outcomes == ["slow", "good", "plateaus above the best", "diverges"]

# %% [markdown]
# A rate that is too low is only slow. A rate that is much too high diverges at once, which is easy to
# see. The third rate is the dangerous one: its loss falls quickly and then stops at a level that looks
# like a minimum. To see why, we count which of its hidden neurons are ever above 0:

# %%
import copy

from nn.metrics import accuracy


def active(model):
    """For each species, the share of (flower, hidden neuron) where the relu is above 0."""
    shares = []
    for k in range(3):
        rows = [
            model.layers[0](x) for x, y in zip(train.features, train.targets, strict=True) if y == k
        ]
        outputs = [h.data for row in rows for h in row]
        shares.append(sum(h > 0.0 for h in outputs) / len(outputs))
    return shares


good, high = copy.deepcopy(model), copy.deepcopy(model)
for rate, copied in ((1.0, good), (5.0, high)):
    fit(copied, train, loss=loss, optimizer=SGD(copied, lr=rate), epochs=20, batch_size=12)
    right = accuracy([copied(x) for x in train.features], train.targets)
    shown = "  ".join(
        f"{name} {share:4.0%}" for name, share in zip(train.names, active(copied), strict=True)
    )
    print(f"rate {rate:g}: active for {shown};  accuracy {right:.0%}")
rescue = fit(high, train, loss=loss, optimizer=SGD(high, lr=0.3), epochs=20, batch_size=12)
print(f"rate 5, then as many epochs at 0.3: loss {rescue.loss[-1]:.2f}")

# %% tags=["check"]
assert rescue.loss[-1] > 0.4
assert max(active(high)[1:]) < 0.05 < min(active(good))

# %% [markdown]
# A few steps were too long. They moved the neurons to where they are 0 for two of the three species. The
# network cannot tell these two species apart, so its best answer for them is one half each. That costs
# two thirds of log 2, which is 0.46. A relu that is 0 passes no gradient, so training on with a good rate
# does not repair it. The damage was done by the earlier, higher rate.
#
# ## Finding a rate
#
# `find_learning_rate` trains a copy for a few steps and raises the rate with every step. At first the
# loss stays the same, then it falls, and at last it explodes. Choose the rate at which it falls fastest.

# %%
from nn import find_learning_rate

test = find_learning_rate(model, train, loss=loss, low=1e-3, high=100.0, batch_size=12)
print(test)
test.figure()

# %% tags=["check"]
assert 0.02 < test.suggestion < 1.0

# %% [markdown]
# ## The bound moves
#
# The dotted line is 2/λmax at the model's *present* parameters. For a parabola, this would be the final
# answer. But the curvature of a network's loss changes during training, so a rate above the bound does
# not always fail. It throws the model out of narrow valleys until the model finds a valley that is wide
# enough. There, λmax is below 2/rate. This is an effect of the rate that you chose, and not a property
# of the loss. (Lewkowycz et al. 2020 call it the catapult.)

# %%
inputs = [row[:3] for row in train.features[::2]]
targets = [row[3] for row in train.features[::2]]
start = MLP([3, 6, 1], "tanh", seed=0)
first = largest_curvature(start, (inputs, targets), squared)
print(f"at the start: lambda_max = {first:.2f}, bound {2 / first:.3f}")
print("  rate   2/rate   lambda_max after 50 steps      loss")
for rate in (0.1, 0.2, 0.4):
    model_ = copy.deepcopy(start)
    data = inputs, targets
    last = fit(model_, data, loss=squared, optimizer=SGD(model_, lr=rate), epochs=50).loss[-1]
    now = largest_curvature(model_, data, squared)
    print(f"{rate:6} {2 / rate:8.2f} {now:27.2f} {last:9.4f}")

# %% tags=["check"]
assert rate > 2.0 / first
assert now < 2.0 / rate

# %% [markdown]
# ## Try your own rate
#
# Change `my_rate` and run the next two cells again. The figure shows the final loss of a separate
# training for each rate, and the place of your rate on this curve. Around the best rate, the curve is
# nearly flat over a factor of three. It is steeper on the right, so when in doubt, choose a lower rate.

# %%
my_rate = 0.3

mine = learning_rate_sweep(model, train, loss=loss, rates=[my_rate], epochs=10, batch_size=12)
print(" ".join(f"{x:.3f}" for x in mine.runs[0].loss))

# %%
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0]
valley = learning_rate_sweep(model, train, loss=loss, rates=rates, epochs=10, batch_size=12)
best = min(valley.runs, key=lambda run: run.final).rate
print("best of these:", best)

# %% tags=["plot"]
figure = plots.figure(6.8, 3.8)
axes = figure.subplots()
axes.plot(rates, [run.final for run in valley.runs], "o-", color=plots.COLORS[0])
axes.plot(my_rate, mine.runs[0].final, "D", color=plots.COLORS[1], markersize=9, label="my_rate")
axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss after 10 epochs")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
figure

# %% tags=["check"]
assert rates[0] < best < rates[-1]

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell. In the first three, the loss is L = 3 w².
#
# **1.** Which learning rate reaches the minimum in one step?

# %%
from nn import exercises

answer = ...
exercises.check("2.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The curvature is the second derivative, 6. The rate 1/6 makes the factor 1 - rate · curvature equal to 0.
# </details>
#
# **2.** At which learning rate does w begin to diverge?

# %%
answer = ...
exercises.check("2.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# At 2/curvature = 1/3, the factor is -1, so w jumps back and forth and never comes closer.
# </details>
#
# **3.** w is 1 and the rate is 0.3. What is w after one step?

# %%
answer = ...
exercises.check("2.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# w := w - rate · 6w = 1 - 0.3 · 6 = -0.8.
# </details>
#
# **4.** In a flat direction the curvature is 1, and a steep direction forces you to use the rate 0.01. After
# how many steps is w half as large in the flat direction?

# %%
answer = ...
exercises.check("2.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Each step multiplies w by 0.99. 0.99^n = 0.5 gives n = log 0.5 / log 0.99 = 69.
# </details>
