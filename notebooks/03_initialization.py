# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # How are weights initialized?
#
# Every introduction has a table like this one:
#
# | weights | what people say |
# |---|---|
# | zeros | the network does not learn |
# | one constant | all neurons are the same, so the network does not learn either |
# | small random | gradients vanish |
# | large random | gradients explode, or units saturate and gradients vanish |
# | LeCun | keeps the variance |
# | Xavier (Glorot) | keeps the variance in both directions; for tanh and sigmoid |
# | He | for relu |
#
# Half of these claims are not quite true. This notebook measures each row and ends with a corrected
# table. `init.examine` sends data forward through an untrained network and gradients back, and reports
# their size for each layer.

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
# `var(a)` is the size of the signal that leaves a layer. `E[g^2]` is the size of the gradient that arrives
# at the layer; gradients move from the bottom of this table to the top. Next to each of the two is the
# size that theory predicts from the initializer and the activation alone. (`rank` cannot be larger than
# the number of samples, which is ten here.) From here on, we need only one number for each direction:
# the factor per layer.


# %%
from functools import cache


@cache
def factors(activation, start):
    """The factors by which a layer multiplies the mean squares of the signal and of the gradient."""
    layers = init.examine(stack(activation, start), data).layers
    first, last = layers[0], layers[-1]
    forward = (last.mean_square / first.mean_square) ** (1 / (DEPTH - 1))
    return forward, (first.gradient / last.gradient) ** (1 / (DEPTH - 1))


# %% [markdown]
# ## Zeros
#
# The data are irises of three species, twenty of each. With tanh and zero weights, every hidden neuron
# outputs 0. So the gradient of each weight in the last layer is dL/dz · 0. The gradients of the hidden
# weights pass through the weights of the last layer. These are 0, so the gradients are, too.

# %%
from functools import partial

from nn import fit, sparse_categorical_crossentropy
from nn.data import load_iris
from nn.optim import SGD

train = load_iris().split(test=0.6)[0].standardized()
loss = partial(sparse_categorical_crossentropy, from_logits=True)


def trained(activation, start, epochs=30, sizes=(4, 6, 3), rate=0.5, seed=0):
    """A network after training with batches of ten, and its last loss."""
    model = MLP(list(sizes), activation, init=start, seed=seed)
    optimizer = SGD(model, lr=rate)
    history = fit(model, train, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=10)
    return model, history.loss[-1]


def parts(model):
    """The parameters by kind."""
    for name, layer in zip(("hidden", "last"), model.layers, strict=True):
        yield f"{name} weights", [w for neuron in layer.neurons for w in neuron.weights]
        yield f"{name} biases", [neuron.bias for neuron in layer.neurons]


moves = {}
for activation in ("tanh", "relu", "sigmoid"):
    model, last = trained(activation, init.zeros())
    moves[activation] = moved = {n: sum(p.data != 0.0 for p in of) for n, of in parts(model)}
    print(f"{activation:>8}: loss {last:.3f}   moved:", *(f"{n} {k}," for n, k in moved.items()))

# %% tags=["check"]
for activation, moved in moves.items():
    alone = activation != "sigmoid"  # only the biases of the last layer move
    assert (sum(moved.values()) == moved["last biases"]) is alone

# %% [markdown]
# For tanh and relu the claim is true, except for the biases of the last layer. They learn how frequent
# each species is. The loss of a network that knows nothing else is log 3 = 1.099. (It is slightly higher
# here because of the batches of ten.) All other gradients are exactly 0, and not just small.
#
# But sigmoid(0) is 1/2. So the weights of the last layer get a gradient and move away from 0, and then
# gradients reach the hidden layer. This network learns even when it starts with zeros. The next section
# shows what it can learn.
#
# ## One constant
#
# If neurons start with the same weights, they see the same inputs and get the same gradient. So they stay
# the same forever, to the last bit. `examine` shows this as 1 in the column `distinct`. The column `rank`
# shows in how many directions the layer can move.

# %%
report = init.examine(MLP([4, 6, 3], "tanh", init=init.constant(0.1)), train.features[:20])
print(report)
model, last = trained("tanh", init.constant(0.1), epochs=60)
different = {tuple(w.data for w in neuron.weights) for neuron in model.layers[0].neurons}
print("after 60 epochs, different hidden neurons:", len(different))

# %% tags=["check"]
assert len(different) == 1

# %% [markdown]
# It does not follow that the network does not learn. It learns what one hidden neuron can learn, and for
# irises that is almost everything. XOR needs two hidden neurons.

# %%
from nn import binary_crossentropy
from nn.metrics import accuracy

_, wide = trained("tanh", None, epochs=60)
share = accuracy([model(x) for x in train.features], train.targets)

corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
logits = partial(binary_crossentropy, from_logits=True)


def xor(start):
    """The loss of six hidden neurons after 400 steps on XOR."""
    model = MLP([2, 6, 1], "tanh", init=start, seed=0)
    optimizer = SGD(model, lr=0.5)
    return fit(model, corners, loss=logits, optimizer=optimizer, epochs=400).loss[-1]


same, different = xor(init.constant(0.5)), xor(None)
print("loss       constant   random")
print(f"irises   {last:10.3f} {wide:8.3f}   (accuracy of the constant start: {share:.0%})")
print(f"XOR      {same:10.3f} {different:8.3f}")

# %% tags=["check"]
assert share > 0.95
assert same > 0.45 > 0.1 > different

# %% [markdown]
# ## Small and large random numbers
#
# A sum of n terms w·x has the variance n · var(w) · E[x²]. So the size of the weights alone does not
# matter. What matters is n · var(w), the fan-in times the variance of the weights. Here n = 20. With
# N(0, 0.01²) a layer multiplies the variance by 0.002, and with N(0, 1) by 20.

# %%
for std in (0.01, 1.0):
    print(f"N(0, {std:g}^2)   fan_in * var(w) = {WIDTH * std**2:g}")
    for activation in (None, "tanh", "relu", "sigmoid"):
        forward, back = factors(activation, init.normal(0.0, std))
        print(f"    {activation or 'linear':>8}   forward x {forward:<9.3g} back x {back:.3g}")

# %% [markdown]
# **Small weights.** Everything vanishes, except the signal of sigmoid: it is about 1/2 for every input.
# The gradients of sigmoid vanish fastest of all.
#
# **Large weights.** With linear units and relu, both the signal and the gradient explode. With tanh the
# signal cannot explode. Does the gradient vanish because the units are saturated? Many units *are*
# saturated, but the mean square of the gradient still grows. A few units are not saturated. Their slopes
# are near 1, and their weights are large enough to make up for all the others.

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
report.figure()

# %% tags=["check"]
assert last.saturated > 0.5
assert first.gradient > 10 * last.gradient
assert typical < 0.5 * mean_square**0.5

# %% [markdown]
# ## LeCun, Xavier, He
#
# All three choose var(w) so that the factor of a layer is 1. They differ in what they assume about the
# layer.
#
# | | var(w) | keeps |
# |---|---|---|
# | LeCun | 1 / fan_in | the signal of linear units |
# | Xavier | 2 / (fan_in + fan_out) | a compromise between signal and gradient |
# | He | 2 / fan_in | the signal of relu units, because relu halves the mean square |
#
# In square layers, as here, LeCun and Xavier are the same. They differ only where the width changes.
# This table shows the factors per layer, forward and back:

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

# %% tags=["check"]
assert 0.3 < table["LeCun = Xavier", "relu"][0] < 0.6
assert 0.7 < table["He", "relu"][0] < 1.2
assert 1.7 < table["He", None][0] < 2.3
assert table["He", "tanh"][1] > table["LeCun = Xavier", "tanh"][1]
assert max(table[name, "sigmoid"][1] for name in starts) < 0.1

# %% [markdown]
# The numbers show:
#
# - He fits relu and LeCun fits linear units, as promised: the factors are near 1 in both directions. (A
#   single network of this width can differ by ten or twenty percent per layer by chance.)
# - Xavier with relu halves the signal in every layer. After ten layers, one thousandth is left.
# - "Xavier for tanh" is folklore. tanh makes every number smaller, so the signal fades. The initializer He
#   is meant for relu, but it does better here. tanh needs its own gain, which `init.gain("tanh")` computes
#   as 1.59. (The gain of He, sqrt(2) = 1.41, happens to be close to it.)
# - No initializer in the table helps sigmoid. Its slope is at most 1/4, so each layer divides the gradient
#   by about 20, or by 10 with He.

# %%
gain = init.gain("tanh")
own = factors("tanh", init.lecun_normal(gain=gain))
print(f"tanh with its own gain of {gain:.3f}: forward x {own[0]:.2f}, back x {own[1]:.2f}")

# %% tags=["check"]
assert abs(own[0] - 1.0) < 0.1

# %% [markdown]
# Here is all of this in one picture. Where a line stays level, the signal or the gradient keeps its size.

# %%
from nn import plots

starts = {
    "tanh, N(0, 0.01$^2$)": stack("tanh", init.normal(0.0, 0.01)),
    "relu, N(0, 1)": stack("relu", init.normal(0.0, 1.0)),
    "relu, Xavier": stack("relu", init.glorot_normal()),
    "relu, He": stack("relu", init.he_normal()),
    "tanh, Xavier": stack("tanh", init.glorot_normal()),
    "tanh, LeCun with gain": stack("tanh", init.lecun_normal(gain=gain)),
}
plots.compare_initializers({name: init.examine(model, data) for name, model in starts.items()})

# %% [markdown]
# ## Where Xavier differs
#
# In a network that narrows from 48 neurons to 6, no var(w) keeps both the signal and the gradient. The
# signal needs 1/fan_in and the gradient needs 1/fan_out. Xavier is a compromise between the two. (The
# numbers are means over ten networks.)

# %%
from statistics import mean

inputs = [[rng.gauss(0.0, 1.0) for _ in range(48)] for _ in range(6)]
changes = {}
for name, start in {
    "LeCun, fan_in": init.lecun_normal(),
    "LeCun, fan_out": init.lecun_normal(fan="fan_out"),
    "Xavier": init.glorot_normal(),
}.items():
    seen = [
        init.examine(MLP([48, 24, 12, 6], None, init=start, seed=seed), inputs).layers
        for seed in range(10)
    ]
    changes[name] = signal, gradient = (
        mean(net[-1].mean_square for net in seen) / mean(net[0].mean_square for net in seen),
        mean(net[0].gradient for net in seen) / mean(net[-1].gradient for net in seen),
    )
    print(f"{name:>15}:  signal x {signal:5.2f}   gradient x {gradient:5.2f}")

# %% tags=["check"]
assert changes["LeCun, fan_in"][0] < changes["Xavier"][0] < changes["LeCun, fan_out"][0]
assert changes["LeCun, fan_in"][1] < changes["Xavier"][1] < changes["LeCun, fan_out"][1]

# %% [markdown]
# ## Dead units
#
# If a relu is 0 for every sample, its gradient is 0 for every sample too, so it stays 0. Large weights do
# not cause this, because a common factor does not change the sign. There are three causes: a bias that is
# too low, a step that is too long (see `02_learning_rate`), and narrow layers. In a narrow layer, all
# neurons can be 0 at once. Then no signal passes the layer, and the network is dead before training.

# %%
model = MLP([4, 12, 3], "relu", seed=0)
for low in (0.0, -2.0, -8.0):
    for neuron in model.layers[0].neurons:
        neuron.bias.data = low
    print(
        f"bias {low:4.0f}: {init.examine(model, train.features).layers[0].dead:4.0%} of the relus are dead"
    )

few, dead = train.features[:6], {}
for width in (2, 4, 8):
    networks = [
        MLP([4, *[width] * 8, 1], "relu", init=init.he_normal(), seed=seed) for seed in range(25)
    ]
    dead[width] = sum(len({network(x)[0].data for x in few}) == 1 for network in networks)
    print(
        f"8 relu layers of {width}, He: {dead[width]} of 25 networks give the same answer for all flowers"
    )

# %% tags=["check"]
assert dead[2] > 12
assert dead[8] <= 2

# %% [markdown]
# ## Does it matter for training?
#
# Here is the loss of six layers on irises after 12 epochs, with the same training for each start. With
# `None`, the library chooses: LeCun with the gain of the layer's activation.

# %%
rows = {
    "zeros": init.zeros(),
    "constant": init.constant(0.1),
    "small": init.normal(0.0, 0.01),
    "large": init.normal(0.0, 1.0),
    "LeCun": init.lecun_normal(),
    "Xavier": init.glorot_normal(),
    "He": init.he_normal(),
    "None": None,
}
lasts = {}
print("             relu    tanh")
for name, start in rows.items():
    for activation in ("relu", "tanh"):
        _, lasts[name, activation] = trained(
            activation, start, epochs=12, sizes=(4, 8, 8, 8, 8, 8, 3), rate=0.1, seed=5
        )
    print(f"{name:>8} {lasts[name, 'relu']:8.3f}{lasts[name, 'tanh']:8.3f}")
_, sigmoid = trained(
    "sigmoid", init.glorot_normal(), epochs=12, sizes=(4, 8, 8, 8, 8, 8, 3), rate=0.1, seed=5
)
print(f"sigmoid with Xavier: {sigmoid:.3f}")

# %% tags=["check"]
assert lasts["He", "relu"] < lasts["Xavier", "relu"] < lasts["small", "relu"]
assert lasts["Xavier", "tanh"] < 0.3 < 1.0 < sigmoid
assert lasts["large", "tanh"] < lasts["He", "tanh"]

# %% [markdown]
# For relu and sigmoid, the losses have the same order as the factors above. For tanh, the factors said
# that Xavier is worse than tanh's own gain, but six layers do not show it. tanh shrinks small numbers less
# than large ones, so the signal fades more and more slowly (see the first table). relu, in contrast,
# halves it in every layer. It takes many more layers until Xavier hurts tanh. Large weights even give
# tanh the lowest loss here. (In layers of 8 neurons, n · var(w) is 8 and not 20, and six layers are not
# many.) A factor tells you what happens to a signal. It does not tell you everything about training.
#
# ## The table again, with verdicts
#
# Each verdict has the factors per layer, forward / back, from the eight layers of 20 neurons, and the loss
# from the last experiment.


# %%
from IPython.display import Markdown


def measured(name, activation):
    """The factors per layer and the loss after training, in words."""
    forward, back = factors(activation, rows[name])
    return f"{activation} {forward:.2g} / {back:.2g}, loss {lasts[name, activation]:.2f}"


def both(name):
    """The measurements for relu and tanh."""
    return "; ".join(measured(name, activation) for activation in ("relu", "tanh"))


zero = f"loss {lasts['zeros', 'relu']:.2f} for relu, {lasts['zeros', 'tanh']:.2f} for tanh"
lines = [
    "| weights | pros | cons | verdict, measured |",
    "|---|---|---|---|",
    "| zeros | simple; right for biases | hidden weights get no gradient (relu, tanh) "
    f"| true: {zero}. sigmoid does learn, like a constant |",
    "| constant | simple | all neurons of a layer stay identical "
    f"| it learns as much as one neuron per layer: XOR {same:.2f}, random {different:.2f} |",
    f"| small random | neurons differ | signal and gradient vanish | true: {both('small')} |",
    "| large random | neurons differ; the signal does not vanish | relu explodes, tanh saturates "
    f"| half true, the gradient of tanh grows: {both('large')} |",
    "| LeCun | keeps the signal of linear units | halves the signal of relu "
    f"| made for linear units: {both('LeCun')} |",
    "| Xavier | balances signal and gradient where the width changes | halves the signal of relu "
    f"| not special for tanh, where He does as well: {both('Xavier')} |",
    f"| He | keeps the signal of relu | doubles that of linear units | best for relu: {both('He')} |",
]
Markdown("\n".join(lines))

# %% [markdown]
# **Use this:** leave `init` out. Each layer then gets LeCun with the gain of its own activation, which is
# He for relu. Biases start at 0.

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** A tanh layer has 100 inputs and 50 outputs. Which standard deviation does LeCun give its weights?

# %%
from nn import exercises

answer = ...
exercises.check("3.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The variance is 1/fan_in = 1/100. Its square root is 0.1.
# </details>
#
# **2.** A relu layer has 50 inputs. Which standard deviation does He give its weights?

# %%
answer = ...
exercises.check("3.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The variance is 2/fan_in = 2/50 = 0.04. Its square root is 0.2.
# </details>
#
# **3.** A layer has 300 inputs and 100 outputs. Which *variance* does Xavier give its weights?

# %%
answer = ...
exercises.check("3.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# 2 / (fan_in + fan_out) = 2/400 = 0.005.
# </details>
#
# **4.** Ten square relu layers start with Xavier. By which factor do they change the mean square of the signal?

# %%
answer = ...
exercises.check("3.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Xavier keeps the signal of linear units, and relu halves its mean square. So each layer has the factor
# 1/2, and ten layers have 0.5^10, about a thousandth.
# </details>
#
# **5.** A hidden layer has 8 neurons, and all weights of the network start at 0.5. How many *different* neurons does
# the layer have after training?

# %%
answer = ...
exercises.check("3.5", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# One. Equal neurons get equal gradients and stay equal.
# </details>
