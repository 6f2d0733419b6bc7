# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # Can a GPT be made of scalars?
#
# Everything in the other notebooks was small enough to look at: a neuron, a layer, a loss. A language
# model is the same thing, only more of it. Here is one whose every number is a `Value`: 27 tokens
# (the letters and one for "end"), vectors of 16 numbers, 4 attention heads, 4,192 parameters. It
# learns to invent names from 32,033 real ones.
#
# Written in scalars it is slow, 50,000 operations for one name. The second half of this notebook
# turns the same graph back into a few dozen vector instructions and trains it in seconds.

# %%
import math
import random

import numpy as np

import autograd
from autograd import draw, topological
from nn import log_softmax, plots
from nn.data import load_names
from nn.microgpt import END, LETTERS, MicroGPT, encode, normalized
from nn.optim import Adam
from nn.probabilities import softmax, total

names = load_names()
model = MicroGPT(seed=0)
print(len(names), "names, such as", ", ".join(names[:5]))
print("as tokens:", names[0], "->", encode(names[0]))
print(model)

# %% [markdown]
# ## What it computes
#
# A token picks a row of a table, its place in the name picks a row of another, and the sum is the
# vector that runs through the model. **Attention** lets a place look back: it asks with a *query*,
# every earlier place answers with a *key*, and the softmax of their products says how much of each
# place's *value* to take. In scalars, and for one head, that is all of it:


# %%
def attention(query, keys, values):
    """What one place takes from those before it."""
    scores = [total([q * k for q, k in zip(query, key, strict=True)]) for key in keys]
    scores = [score / math.sqrt(len(query)) for score in scores]
    weights = softmax(scores)
    return [
        total([w * v for w, v in zip(weights, column, strict=True)])
        for column in zip(*values, strict=True)
    ]


V = autograd.Value
query = [V(1.0, "q0"), V(-0.5, "q1")]
keys = [[V(0.8, "k00"), V(0.1, "k01")], [V(-0.3, "k10"), V(0.9, "k11")]]
values = [[V(2.0, "v00")], [V(-1.0, "v10")]]
(taken,) = attention(query, keys, values)
taken.label = "taken"
taken.backward()
print("taken =", round(taken.data, 4), " between", values[0][0].data, "and", values[1][0].data)
print("how much of each: ", [round(v[0].grad, 4) for v in values], "= d(taken)/d(value)")
assert abs(sum(v[0].grad for v in values) - 1.0) < 1e-12

# %%
draw(taken)

# %% [markdown]
# The gradient in a value *is* the weight that attention gave it. The subtlety is in the queries and
# keys: they only ever move the weights, and the weights add up to 1, so all their gradients together
# must leave the sum of weights alone. Scale the query and nothing about that changes:

# %%
moved = [k[0].grad for k in keys]
print("dL/dk00 + dL/dk10 =", sum(moved))
assert abs(sum(moved)) < 1e-12

# %% [markdown]
# After attention, a **perceptron** works on each place by itself, and both add to the vector instead
# of replacing it, so that the gradient has a straight way back to the embeddings. `normalized`
# divides a vector by its root mean square before each part, which keeps the size of what goes in at
# 1 whatever the layers before have done:

# %%
vector = [autograd.Value(x) for x in (3.0, -4.0, 12.0, 0.0)]
size = math.sqrt(sum(x.data**2 for x in normalized(vector)) / 4)
print("root mean square after:", round(size, 6))
assert abs(size - 1.0) < 1e-6

# %% [markdown]
# ## One name, in scalars
#
# The loss of a name is the mean of -log p(next letter) over its places. Before training the model
# knows nothing, and a loss of log 27 = 3.30 is what "nothing" costs.

# %%
name = "andrea"
loss = model.loss(encode(name))
nodes = topological(loss)
loss.backward()
print(f"{len(nodes):,} nodes, loss {loss.data:.2f}, log 27 = {math.log(27):.2f}")
assert abs(loss.data - math.log(27)) < 0.1

# %% [markdown]
# And those gradients are right, which is worth saying of 50,000 operations: nudge a parameter and
# the loss moves as its gradient says. (Two that matter to "andrea": a number of the row of `n`, and
# one of the first weights of the head.)

# %%
for label, p in [
    ("letters[n][3]", model.letters.table[LETTERS.index("n")][3]),
    ("head, first weight", model.head.neurons[0].weights[0]),
]:
    slope, h, at = p.grad, 1e-5, p.data
    ends = []
    for step in (h, -h):
        p.data = at + step
        ends.append(model.loss(encode(name)).data)
    p.data = at
    difference = (ends[0] - ends[1]) / (2 * h)
    print(f"{label:20} gradient {slope:+.6f}  difference {difference:+.6f}")
    assert abs(slope - difference) < 1e-7

# %% [markdown]
# ## The same graph as 70 instructions
#
# 50,000 boxes cannot be drawn, but they are not 50,000 different things. `autograd.compile` runs the
# function once, writes down what it did, and groups what can be done side by side: a neuron's sum of
# products is one *dot*, all dots of a layer at all places are one instruction with many *lanes*.

# %%
compiled = autograd.compile(model.loss, reduction="mean")
assert abs(compiled(encode(name)) - loss.data) < 1e-12
program = compiled.program
print(str(program).splitlines()[0].split(" as ")[0])
print(len(program.instructions), "instructions,", program.levels, "levels")
assert len(program.instructions) < 100
program.draw()

# %% [markdown]
# Read it from the top: the letters' rows are chosen, places added, vectors normalized; queries, keys
# and values; attention with the scores of all heads and places and their softmax; the perceptron with
# its 448 rectified sums; the logits, and the crossentropy. Yellow boxes read parameters. "dot of 16 x
# 448" is 448 lanes with 16 products each. Any lane can be traced back to its scalar:

# %%
widest = max(program.instructions, key=lambda one: one.lanes * one.terms[1])
print(program.name(widest), widest.lanes, "lanes of", widest.terms[1], "terms:", end=" ")
print(program.locate(widest.z)["scope"])

# %% [markdown]
# The replay gives the gradients of the scalars, all 4,192 of them (the table of places has rows that
# a name of six letters does not use; theirs are 0).

# %%
parameters = model.parameters()
eager = np.array([p.grad for p in parameters])
with compiled.flat(parameters) as flat:
    flat.backward(encode(name))
    apart = abs(flat.gradients - eager).max()
print("largest difference below 1e-14:", apart < 1e-14)
assert apart < 1e-14

# %% [markdown]
# ## Training
#
# One recording serves all names of one length, because letters are *inputs* of the program: they say
# which row of a table to take. So a step takes a batch of names of one length. The parameters stay in
# one array (`flat`) that Adam changes in place; at the end of the `with` they are back in the Values.

# %%
rng = random.Random(0)
shuffled = rng.sample(names, len(names))
held, train = shuffled[:2000], shuffled[2000:]
by_length = {}
for one in train:
    if 3 <= len(one) <= 9:  # nine out of ten
        by_length.setdefault(len(one), []).append(encode(one))
lengths = {k: np.array(rows) for k, rows in sorted(by_length.items())}
shares = [len(rows) for rows in lengths.values()]

steps, losses = 4000, []
optimizer = Adam(model, lr=0.01)
generator = np.random.default_rng(0)
with compiled.flat(parameters) as flat:
    for step in range(steps):
        rows = lengths[rng.choices(list(lengths), shares)[0]]
        batch = rows[generator.integers(0, len(rows), 32)]
        optimizer.lr = 0.01 * (1 - step / steps)
        losses.append(flat.backward(batch))
        optimizer.step_flat(flat)


# The model as it is now, on names it has not seen: the mean over their letters.
sums = count = 0
for length in lengths:
    rows = np.array([encode(one) for one in held if len(one) == length])
    sums += compiled(rows) * len(rows) * (length + 1)
    count += len(rows) * (length + 1)
learned = sums / count
print(f"loss on names it has not seen: {learned:.1f} nats a letter, from {loss.data:.1f}")
assert learned < 2.35

# %%
figure = plots.figure(6, 3)
axes = figure.subplots()
smooth = np.convolve(losses, np.ones(100) / 100, mode="valid")
axes.plot(losses, color="#c6d3e3", linewidth=0.6, label="a batch of 32 names")
axes.plot(np.arange(len(smooth)) + 50, smooth, color="#1f6fb4", label="mean of 100 batches")
axes.axhline(math.log(27), color="#777777", linestyle="--", label="knowing nothing, log 27")
axes.set(xlabel="step", ylabel="nats a letter", ylim=(1.8, 3.5), title="A GPT of scalars learns")
axes.legend()
figure

# %% [markdown]
# ## The first steps are those of the scalars
#
# Nothing was traded for the speed. Here are three steps of the same training, once in Values with
# `backward`, once replayed.

# %%
texts = [encode(one) for one in ("emma", "noah", "luca")]
by_value, by_array = [], []
scalar, vector_ = MicroGPT(seed=1), MicroGPT(seed=1)
adam = Adam(scalar, lr=0.01)
for tokens in texts:
    adam.zero_grad()
    here = scalar.loss(tokens)
    here.backward()
    adam.step()
    by_value.append(here.data)
adam = Adam(vector_, lr=0.01)
with autograd.compile(vector_.loss).flat(vector_.parameters()) as flat:
    for tokens in texts:
        by_array.append(flat.backward(tokens))
        adam.step_flat(flat)
print([f"{x:.4f}" for x in by_value], "in Values")
print([f"{x:.4f}" for x in by_array], "replayed")
assert all(abs(x - y) < 1e-10 for x, y in zip(by_value, by_array, strict=True))

# %% [markdown]
# ## What it invents
#
# Start with the end token, draw the next letter from the model's probabilities, and so on until it
# draws the end. A temperature below 1 makes likely letters likelier.

# %%
logits = autograd.compile(lambda tokens: model(tokens))
invented = [model.sample(seed, temperature=0.8, logits=logits) for seed in range(28)]
known = set(names)
figure = plots.figure(6, 2.4)
axes = figure.subplots()
axes.axis("off")
for k, one in enumerate(invented):
    colour = "#777777" if one in known else "#1f6fb4"
    axes.text(k % 4 / 4, 1 - k // 4 / 7, one, color=colour, fontsize=12, va="top")
axes.set_title("invented names (grey: a real one came out)", fontsize=10)
assert all(set(one) <= set(LETTERS) for one in invented)
assert sum(one not in known for one in invented) > 5
figure

# %% [markdown]
# Where has it learned that a name can end? Its probability of the end token after each letter of
# "anna" tells: next to nothing after the first, and a great deal after the last.

# %%
rows = [log_softmax(row) for row in model(encode("anna")[:-1])]
ends = [math.exp(row[END].data) for row in rows]
print("ends after '':", f"{ends[0]:.2f}")
assert ends[0] < 0.02
assert ends[4] > 5 * ends[1]
