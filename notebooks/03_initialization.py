# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # How should weights start?
#
# Every primer has this table, in these words or others:
#
# | weights | what is said |
# |---|---|
# | zeros | the network does not learn |
# | one constant | all neurons are the same, so it does not learn either |
# | small random | gradients vanish |
# | large random | gradients explode, or units saturate and gradients vanish |
# | LeCun | keeps the variance |
# | Xavier (Glorot) | keeps it both ways; for tanh and sigmoid |
# | He | for relu |
#
# Half of it needs a footnote. Here each row is measured: `init.examine` sends data through an
# untrained network and gradients back, and says layer by layer how large both are.

# %%
import random

from nn import MLP, init

rng = random.Random(0)
WIDTH, DEPTH = 20, 8
data = [[rng.gauss(0.0, 1.0) for _ in range(WIDTH)] for _ in range(10)]


def stack(activation, start):
    """Eight square layers, all with the same activation."""
    sizes = [WIDTH] * (DEPTH + 1)
    return MLP(sizes, activation, output=activation, init=start, seed=1)


print(init.examine(stack("tanh", init.lecun_normal()), data))

# %% [markdown]
# Read it so: `var(a)` is the size of the signal that leaves a layer, `E[g^2]` that of the gradient
# that arrives there (it travels upwards in this table), and the column beside each is what theory
# predicts from the initializer and the activation alone. (`rank` cannot be more than the number of
# samples, ten here.) From here on, one number will do for each
# direction: the factor per layer.


# %%
def factors(activation, start):
    """By what a layer multiplies the mean square of the signal, and of the gradient going back."""
    layers = init.examine(stack(activation, start), data).layers
    first, last = layers[0], layers[-1]
    forward = (last.mean_square / first.mean_square) ** (1 / (DEPTH - 1))
    return forward, (first.gradient / last.gradient) ** (1 / (DEPTH - 1))


# %% [markdown]
# ## Zeros
#
# On irises, three species, twenty of each. With tanh every hidden neuron says 0. So the last
# weights get a gradient of dL/dz · 0, and the hidden ones get one that has passed through a last
# weight of 0.

# %%
from functools import partial

from nn import fit, sparse_categorical_crossentropy
from nn.data import load_iris
from nn.optim import SGD

train = load_iris().split(test=0.6)[0].standardized()
loss = partial(sparse_categorical_crossentropy, from_logits=True)


def trained(activation, start, epochs=30, sizes=(4, 6, 3)):
    """A network after some epochs of batches of ten, and its last loss."""
    model = MLP(list(sizes), activation, init=start, seed=0)
    optimizer = SGD(model, lr=0.5)
    history = fit(model, train, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=10)
    return model, history.loss[-1]


def parts(model):
    """The parameters by kind."""
    for name, layer in zip(("hidden", "last"), model.layers, strict=True):
        yield f"{name} weights", [w for neuron in layer.neurons for w in neuron.weights]
        yield f"{name} biases", [neuron.bias for neuron in layer.neurons]


for activation in ("tanh", "relu", "sigmoid"):
    model, last = trained(activation, init.zeros())
    moved = {name: sum(p.data != 0.0 for p in of) for name, of in parts(model)}
    print(f"{activation:>8}: loss {last:.3f}   moved:", *(f"{n} {k}," for n, k in moved.items()))
    alone = activation != "sigmoid"  # do the last biases move alone?
    assert (sum(moved.values()) == moved["last biases"]) is alone

# %% [markdown]
# With tanh and relu it is as they say, but for the last biases: they learn how frequent each
# species is, and the loss is that of somebody who knows nothing else, log 3 = 1.099 (and a little,
# from batches of ten). All other gradients are exactly 0, not small.
#
# But sigmoid(0) is 1/2. The last weights get a gradient, move away from 0, and open the way to the
# hidden layer: this network learns from zeros. What it learns is the next row.
#
# ## One constant
#
# Neurons that start the same, see the same inputs and get the same gradient stay the same, to the
# last bit, for ever. `examine` calls it `distinct` 1, and `rank` says in how many directions the
# layer can move.

# %%
report = init.examine(MLP([4, 6, 3], "tanh", init=init.constant(0.1)), train.features[:20])
print(report)
model, last = trained("tanh", init.constant(0.1), epochs=60)
rows = {tuple(w.data for w in neuron.weights) for neuron in model.layers[0].neurons}
print("after 60 epochs, different hidden neurons:", len(rows))
assert len(rows) == 1

# %% [markdown]
# "So it does not learn" does not follow. It learns what one hidden neuron can learn, and for irises
# that is nearly everything. XOR needs two.

# %%
from nn import binary_crossentropy
from nn.metrics import accuracy

_, wide = trained("tanh", None, epochs=60)
share = accuracy([model(x) for x in train.features], train.targets)
assert share > 0.95

corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
logits = partial(binary_crossentropy, from_logits=True)


def xor(start):
    """The loss of six hidden neurons after 400 steps on XOR."""
    model = MLP([2, 6, 1], "tanh", init=start, seed=0)
    optimizer = SGD(model, lr=0.5)
    return fit(model, corners, loss=logits, optimizer=optimizer, epochs=400).loss[-1]


same, different = xor(init.constant(0.5)), xor(None)
print("loss       constant   random")
print(f"irises   {last:10.3f} {wide:8.3f}   (and the constant start gets {share:.0%} right)")
print(f"XOR      {same:10.3f} {different:8.3f}")
assert same > 0.45 > 0.1 > different

# %% [markdown]
# ## Small and large random numbers
#
# A sum of n terms w·x has the variance n · var(w) · E[x²]. So what matters is not the size of the
# weights but n · var(w), the fan-in times their variance. Here n = 20: with N(0, 0.01²) a layer
# multiplies by 0.002, with N(0, 1) by 20.

# %%
for std in (0.01, 1.0):
    print(f"N(0, {std:g}^2)   fan_in * var(w) = {WIDTH * std**2:g}")
    for activation in (None, "tanh", "relu", "sigmoid"):
        forward, back = factors(activation, init.normal(0.0, std))
        print(f"    {activation or 'linear':>8}   forward x {forward:<9.3g} back x {back:.3g}")

# %% [markdown]
# Small: everything vanishes, except that sigmoid's signal does not. It is about 1/2
# whatever the input, while its gradients vanish fastest of all.
#
# Large: linear and relu explode, both ways. With tanh the signal cannot explode. Does the gradient
# vanish, because the units are saturated? Many units *are* saturated, and the mean square of the
# gradient grows all the same: those few that are not saturated have slopes near 1 and weights that
# are large enough to make up for all the others.

# %%
report = init.examine(stack("tanh", init.normal(0.0, 1.0)), data)
first, last = report.layers[0], report.layers[-1]
sizes = sorted(abs(g) for g in first.gradients)
typical, mean_square = sizes[len(sizes) // 2], first.gradient
print(f"saturated: {last.saturated:.0%} of the last layer's outputs")
print(
    f"gradients at the first layer: typical |g| {typical:.3g}, root mean square {mean_square**0.5:.3g}"
)
print(f"gradients at the last layer:                 root mean square {last.gradient**0.5:.3g}")
assert last.saturated > 0.5
assert first.gradient > 10 * last.gradient
assert typical < 0.5 * mean_square**0.5
report.figure()

# %% [markdown]
# ## LeCun, Xavier, He
#
# The three choose var(w) so that a layer's factor is 1, for different ideas of what a layer does.
#
# | | var(w) | keeps |
# |---|---|---|
# | LeCun | 1 / fan_in | the signal of linear units |
# | Xavier | 2 / (fan_in + fan_out) | a compromise between signal and gradient |
# | He | 2 / fan_in | the signal of relu, which halves the mean square |
#
# In square layers, as here, LeCun and Xavier are the same; they differ only where the width
# changes. The table of factors per layer, forward and back:

# %%
starts = {"LeCun = Xavier": init.lecun_normal(), "He": init.he_normal()}
table = {}
print(
    "                    "
    + "".join(f"{a or 'linear':>16}" for a in (None, "tanh", "sigmoid", "relu"))
)
for name, start in starts.items():
    cells = []
    for activation in (None, "tanh", "sigmoid", "relu"):
        table[name, activation] = forward, back = factors(activation, start)
        cells.append(f"{forward:.2f}  {back:.2f}")
    print(f"{name:>18}  " + "".join(f"{cell:>16}" for cell in cells))
assert 0.3 < table["LeCun = Xavier", "relu"][0] < 0.6
assert 0.7 < table["He", "relu"][0] < 1.2
assert 1.7 < table["He", None][0] < 2.3
assert table["He", "tanh"][1] > table["LeCun = Xavier", "tanh"][1]
assert max(table[name, "sigmoid"][1] for name in starts) < 0.1

# %% [markdown]
# What the numbers say:
#
# - He fits relu and LeCun fits linear units, as promised: near 1, both ways. (By chance, one
#   network of this width strays by ten or twenty percent a layer.)
# - Xavier with relu halves the signal in every layer. Ten layers leave a thousandth.
# - "Xavier for tanh" is folklore. A tanh shrinks every number it meets, so the signal fades; and He,
#   said to be for relu, does better here. What tanh needs is its own gain, which
#   `init.gain("tanh")` measures as 1.59 (He's sqrt(2) is 1.41, by luck not far away).
# - Nothing helps sigmoid. Its slope is at most 1/4, so the gradient is divided by about 20 (and
#   with He's weights by 10) in each layer. No initializer in the table repairs that.

# %%
gain = init.gain("tanh")
own = factors("tanh", init.lecun_normal(gain=gain))
print(f"tanh with its own gain of {gain:.3f}: forward x {own[0]:.2f}, back x {own[1]:.2f}")
assert abs(own[0] - 1.0) < 0.1

# %%
from nn import plots

figure = plots.figure(9.0, 3.6)
left, right = figure.subplots(1, 2, sharex=True)
runs = {
    "tanh, N(0, 0.01$^2$)": stack("tanh", init.normal(0.0, 0.01)),
    "relu, N(0, 1)": stack("relu", init.normal(0.0, 1.0)),
    "relu, Xavier": stack("relu", init.glorot_normal()),
    "relu, He": stack("relu", init.he_normal()),
    "tanh, Xavier": stack("tanh", init.glorot_normal()),
    "tanh, LeCun with gain": stack("tanh", init.lecun_normal(gain=gain)),
}
for color, (name, model) in zip(plots.COLORS, runs.items(), strict=False):
    layers = init.examine(model, data).layers
    left.plot([one.mean_square for one in layers], "o-", color=color, markersize=4, label=name)
    right.plot([one.gradient for one in layers], "o-", color=color, markersize=4)
left.set(title="signal, going right", ylabel="mean square")
right.set(title="gradient, going left")
for axes in (left, right):
    axes.set(yscale="log", xlabel="layer", ylim=(1e-12, 1e13))
    axes.grid(alpha=0.3)
figure.legend(loc="outside right center", frameon=False)
figure

# %% [markdown]
# ## Where Xavier differs
#
# From 48 neurons to 6, no var(w) keeps both ways, because the signal wants 1/fan_in and the gradient
# 1/fan_out. Xavier gives each a part of what it wants. (Means over ten networks.)

# %%
from statistics import mean

inputs = [[rng.gauss(0.0, 1.0) for _ in range(48)] for _ in range(6)]
kept = {}
for name, start in {
    "LeCun, fan_in": init.lecun_normal(),
    "LeCun, fan_out": init.lecun_normal(fan="fan_out"),
    "Xavier": init.glorot_normal(),
}.items():
    seen = [
        init.examine(MLP([48, 24, 12, 6], None, init=start, seed=seed), inputs).layers
        for seed in range(10)
    ]
    kept[name] = signal, gradient = (
        mean(one[-1].mean_square for one in seen) / mean(one[0].mean_square for one in seen),
        mean(one[0].gradient for one in seen) / mean(one[-1].gradient for one in seen),
    )
    print(f"{name:>15}:  signal x {signal:5.2f}   gradient x {gradient:5.2f}")
assert kept["LeCun, fan_in"][0] < kept["Xavier"][0] < kept["LeCun, fan_out"][0]
assert kept["LeCun, fan_in"][1] < kept["Xavier"][1] < kept["LeCun, fan_out"][1]

# %% [markdown]
# ## Dead units
#
# A relu that is 0 for every sample has a gradient of 0 for every sample, and stays so. Large weights
# do not kill it (relu does not care about a common factor); what does is a bias that is too low, a
# step that was too long (see `02_learning_rate`), or narrow layers, where all neurons of one layer
# can be 0 at once. Then nothing gets through, and the network was born dead.

# %%
model = MLP([4, 12, 3], "relu", seed=0)
for low in (0.0, -2.0, -8.0):
    for neuron in model.layers[0].neurons:
        neuron.bias.data = low
    print(
        f"bias {low:4.0f}: {init.examine(model, train.features).layers[0].dead:4.0%} of the relus are dead"
    )

few = train.features[:6]
for width in (2, 4, 8):
    dead = 0
    for seed in range(25):
        narrow = MLP([4, *[width] * 8, 1], "relu", init=init.he_normal(), seed=seed)
        outputs = {narrow(x)[0].data for x in few}
        dead += len(outputs) == 1
    print(f"8 relu layers of {width}, He: {dead} of 25 networks give one answer to all flowers")
    if width == 2:
        assert dead > 12
assert dead <= 2

# %% [markdown]
# ## And does it matter?
#
# Six layers on irises, the same training for each start.

# %%
lasts = {}
for name, (activation, start) in {
    "zeros": ("relu", init.zeros()),
    "relu, N(0, 0.01^2)": ("relu", init.normal(0.0, 0.01)),
    "relu, Xavier": ("relu", init.glorot_normal()),
    "relu, He": ("relu", init.he_normal()),
    "sigmoid, Xavier": ("sigmoid", init.glorot_normal()),
    "tanh, Xavier": ("tanh", init.glorot_normal()),
    "tanh, with gain": ("tanh", None),
}.items():
    model = MLP([4, 8, 8, 8, 8, 8, 3], activation, init=start, seed=5)
    optimizer = SGD(model, lr=0.1)
    history = fit(model, train, loss=loss, optimizer=optimizer, epochs=12, batch_size=10)
    lasts[name] = history.loss[-1]
    print(f"{name:>20}: loss {lasts[name]:.3f} after 12 epochs")
assert lasts["relu, He"] < lasts["relu, Xavier"] < lasts["relu, N(0, 0.01^2)"]
assert lasts["tanh, Xavier"] < 0.3 < 1.0 < lasts["sigmoid, Xavier"]

# %% [markdown]
# For relu and sigmoid the order is that of the factors above. For tanh the factors said that Xavier
# is worse than tanh's own gain, and six layers do not show it. A tanh shrinks small numbers less than
# large ones, so the signal fades ever more slowly (as in the first table), and not by half in each
# layer as with relu: it takes many more layers to hurt. A factor says what becomes of a signal, and not yet what becomes of a training.
