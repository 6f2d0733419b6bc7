# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # What does the learning rate do?
#
# One step of gradient descent is w := w - rate · dL/dw. The gradient says which way is down, and
# how steep it is *here*; it does not say how far away the bottom is. The rate is a guess at that.
#
# ## On a parabola there is nothing to guess
#
# Let L = curvature/2 · w². Then dL/dw = curvature · w, and a step multiplies w by
# 1 - rate · curvature. Everything that a learning rate can do is in that number:
#
# | rate · curvature | w is multiplied by | |
# |---|---|---|
# | near 0 | nearly 1 | it crawls |
# | 1 | 0 | it arrives in one step |
# | between 1 and 2 | -1 to 0 | it jumps across, and still arrives |
# | above 2 | less than -1 | each jump is wider than the last |

# %%
from autograd import Value
from nn import plots

CURVATURE = 2.0


def walk(rate, steps, start=1.0):
    """The places that gradient descent visits on the parabola."""
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
    factor = 1 - rate * CURVATURE
    assert all(abs(w - factor**k) < 1e-12 for k, w in enumerate(places))

# %%
figure = plots.figure(10.0, 2.9)
axis = [-1.9 + 3.8 * i / 100 for i in range(101)]
titles = {0.05: "too low", 0.5: "right", 0.9: "high", 1.1: "too high"}
for axes, (rate, title) in zip(figure.subplots(1, 4, sharey=True), titles.items(), strict=True):
    places = walk(rate, 6, 0.6 if title == "too high" else 1.5)
    axes.plot(axis, [0.5 * CURVATURE * w * w for w in axis], color="0.6")
    heights = [0.5 * CURVATURE * w * w for w in places]
    axes.plot(places, heights, "o-", color=plots.COLORS[1], markersize=4, linewidth=1.2)
    axes.set(title=f"{title}: {rate}", xlabel="w", ylim=(-0.2, 3.6), xlim=(-1.9, 1.9))
figure.axes[0].set_ylabel("loss")
figure

# %% [markdown]
# ## The bound 2 / λmax
#
# A loss of many parameters is, near a point, a parabola along each eigenvector of its Hessian, each
# with a curvature of its own. One rate serves them all, so the steepest sets the limit
# rate < 2/λmax, and the flattest sets how long it takes.
#
# Take the smallest real example: predict an iris' petal width from its petal length with a line,
# and the mean squared error. That loss *is* a parabola, so the bound should be sharp. One percent
# below it and one percent above it:

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
assert below[-1] < below[12] < below[0]
assert above[-1] > above[12] > above[0]

# %% [markdown]
# The bound holds on both sides. Now take half of it, the best rate for the steep direction. After
# one step that direction is done, and the subtlety shows: the flat one hardly moves. Lengths of 1
# to 7 cm with a mean of 3.8 make the loss a narrow ravine. No rate is good for it; what helps is a
# rounder loss. Standardize the input and both curvatures become 2, and the rate 1/2 arrives in one
# step, as on the parabola above.

# %%
mean = sum(x for (x,) in lengths) / len(lengths)
spread = (sum((x - mean) ** 2 for (x,) in lengths) / len(lengths)) ** 0.5
standard = [[(x - mean) / spread] for (x,) in lengths]
raw, round_ = descend(lengths, 0.5 * bound, 4), descend(standard, 0.5, 4)
print("as measured:  ", *(f"{x:8.5f}" for x in raw))
print("standardized: ", *(f"{x:8.5f}" for x in round_))
assert abs(round_[1] - round_[3]) < 1e-9 < raw[3] - round_[3]

# %% [markdown]
# ## Four curves on real data
#
# Now a network and all four measurements of 120 irises, in batches of 12. The same start, four
# rates. `learning_rate_sweep` trains a copy for each and says in a word what came of it.

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
assert sweep.outcomes == [
    "slow",
    "good",
    "plateaus above the best",
    "diverges",
]
sweep.figure()

# %% [markdown]
# Too low is not wrong, it is slow. Too high leaves at once. The dangerous one is the third: its
# loss falls quickly, then stops at a height that looks like an end. Ask that network which of its
# hidden neurons are ever above 0:

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
for rate, one in ((1.0, good), (5.0, high)):
    fit(one, train, loss=loss, optimizer=SGD(one, lr=rate), epochs=20, batch_size=12)
    right = accuracy([one(x) for x in train.features], train.targets)
    shown = "  ".join(
        f"{name} {share:4.0%}" for name, share in zip(train.names, active(one), strict=True)
    )
    print(f"rate {rate:g}: active for {shown};  {right:.0%} right")
rescue = fit(high, train, loss=loss, optimizer=SGD(high, lr=0.3), epochs=20, batch_size=12)
print(f"rate 5, then 0.3 for as long: loss {rescue.loss[-1]:.2f}")
assert rescue.loss[-1] > 0.4
assert max(active(high)[1:]) < 0.05 < min(active(good))

# %% [markdown]
# A few steps that were too long threw its neurons to where they are 0 for two of the three species.
# It cannot tell these two apart, and the best it can do is toss a coin for them: two thirds of
# log 2, which is 0.46. A relu that is 0 passes no gradient, so going on with a good rate does not
# bring it back. The rate is not too high any more; it was.
#
# ## Finding a rate
#
# `find_learning_rate` trains a copy for a moment while the rate rises from step to step. The loss
# stands still, falls, and explodes; take the rate at which it falls fastest.

# %%
from nn import find_learning_rate

found = find_learning_rate(model, train, loss=loss, low=1e-3, high=100.0, batch_size=12)
print(found)
assert 0.02 < found.suggestion < 1.0
found.figure()

# %% [markdown]
# ## The bound moves
#
# The dotted line is 2/λmax where the model stands *now*. For a parabola that would be the end of
# the matter. A network's curvature changes as it walks, and the subtlety is that a rate above the
# bound does not always fail: it throws the model out of narrow valleys until it meets one that is
# wide enough. Then λmax is below 2/rate, not because the loss is so, but because you chose the
# rate. (Lewkowycz et al. 2020 call it the catapult.)

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
assert rate > 2.0 / first
assert now < 2.0 / rate

# %% [markdown]
# ## Move it yourself
#
# Change `my_rate` and run the two cells again. Then look where it lies on the valley below: the
# final loss over all rates, each a training of its own. It is nearly flat for a factor of three,
# and steeper on the right, so when in doubt go left.

# %%
my_rate = 0.3

mine = learning_rate_sweep(model, train, loss=loss, rates=[my_rate], epochs=10, batch_size=12)
print(" ".join(f"{x:.3f}" for x in mine.runs[0].loss))

# %%
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0]
valley = learning_rate_sweep(model, train, loss=loss, rates=rates, epochs=10, batch_size=12)
figure = plots.figure(6.8, 3.8)
axes = figure.subplots()
axes.plot(rates, [run.final for run in valley.runs], "o-", color=plots.COLORS[0])
axes.plot(my_rate, mine.runs[0].final, "D", color=plots.COLORS[1], markersize=9, label="my_rate")
axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss after 10 epochs")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
best = min(valley.runs, key=lambda run: run.final).rate
print("best of these:", best)
assert rates[0] < best < rates[-1]
figure
