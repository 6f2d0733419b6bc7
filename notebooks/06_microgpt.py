# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # Can a GPT be made of scalars?
#
# Everything in the other notebooks was small enough to look at: a neuron, a layer, a loss. A language model
# has the same parts, but more of them. In the model below, every number is a `Value`. It has 27 tokens (the
# letters and one for "end"), vectors of 16 numbers, 4 attention heads and 4,192 parameters. From 32,033
# real names, it learns to invent new ones.
#
# In scalars the model is slow, because one name takes 50,000 operations. The second half of this notebook
# turns the same graph into a few dozen vector instructions and trains it in seconds.

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
print(len(names), "names, for example", ", ".join(names[:5]))
print("as tokens:", names[0], "->", encode(names[0]))
print(model)

# %% [markdown]
# ## What it computes
#
# Each token selects a row of one table, and its position in the name selects a row of another. The sum of
# the two rows is the vector that goes through the model. **Attention** lets a position look at earlier
# positions. Each position has a *query*, a *key* and a *value*. The dot product of its query with each key
# is a score. The softmax of these scores tells how much of each *value* to take. For one head, in scalars,
# this is the whole code:


# %%
def attention(query, keys, values):
    """What one position takes from the values, by its query."""
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
print("attention weights:", [round(v[0].grad, 4) for v in values], "= d(taken)/d(value)")

# %% tags=["check"]
assert abs(sum(v[0].grad for v in values) - 1.0) < 1e-12

# %%
draw(taken)

# %% [markdown]
# The gradient of a value *is* its attention weight. Queries and keys act only through these weights, and
# the weights always add up to 1. If you add the same number to the first entry of every key, all scores
# change by the same amount, and the weights stay the same. So the gradients of these entries add up to 0:

# %%
moved = [k[0].grad for k in keys]
print("dL/dk00 + dL/dk10 =", sum(moved))

# %% tags=["check"]
assert abs(sum(moved)) < 1e-12

# %% [markdown]
# After attention, a **perceptron** works on each position separately. Attention and perceptron add their
# results to the vector and do not replace it, so the gradient has a direct path back to the embeddings.
# Before each of these parts, `normalized` divides the vector by its root mean square. So the size of the
# input is always 1, whatever the earlier layers did:

# %%
vector = [autograd.Value(x) for x in (3.0, -4.0, 12.0, 0.0)]
size = math.sqrt(sum(x.data**2 for x in normalized(vector)) / 4)
print("root mean square after:", round(size, 6))

# %% tags=["check"]
assert abs(size - 1.0) < 1e-6

# %% [markdown]
# ## One name, in scalars
#
# The loss of a name is the mean of -log p(next letter) over its positions. Before training, the model knows
# nothing, so its loss is close to log 27 = 3.30. This is the loss of equal probabilities for all tokens.

# %%
name = "andrea"
loss = model.loss(encode(name))
nodes = topological(loss)
loss.backward()
print(f"{len(nodes):,} nodes, loss {loss.data:.2f}, log 27 = {math.log(27):.2f}")

# %% tags=["check"]
assert abs(loss.data - math.log(27)) < 0.1

# %% [markdown]
# Are these gradients right, after 50,000 operations? Change a parameter a little, and the loss changes as
# its gradient predicts. (We take two parameters that matter for "andrea": an entry of the row of `n`, and
# the first weight of the head.)

# %%
apart = []
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
    apart.append(abs(slope - difference))

# %% tags=["check"]
assert max(apart) < 1e-7

# %% [markdown]
# ## The same graph as 70 instructions
#
# 50,000 boxes are too many to draw, but most of them do the same thing. `autograd.compile` runs the
# function once, records its operations, and groups those that can run in parallel. The sum of products in a
# neuron is one *dot*. All dots of a layer, at all positions, are one instruction with many *lanes*.

# %%
compiled = autograd.compile(model.loss, reduction="mean")
replayed = compiled(encode(name))
program = compiled.program
print(str(program).splitlines()[0].split(" as ")[0])
print(len(program.instructions), "instructions,", program.levels, "levels")
program.draw()

# %% tags=["check"]
assert abs(replayed - loss.data) < 1e-12
assert len(program.instructions) < 100

# %% [markdown]
# From top to bottom, the picture shows these steps:
#
# 1. select the rows of the letters, add the positions, and normalize the vectors
# 2. compute queries, keys and values
# 3. attention: the scores of all heads and positions, and their softmax
# 4. the perceptron, with its 448 rectified sums
# 5. the logits and the cross-entropy
#
# Yellow boxes read parameters. "dot of 16 x 448" means 448 lanes with 16 products each. You can trace any
# lane back to its scalar:

# %%
widest = max(program.instructions, key=lambda step: step.lanes * step.terms[1])
print(program.name(widest), widest.lanes, "lanes of", widest.terms[1], "terms:", end=" ")
print(program.locate(widest.z)["scope"])

# %% [markdown]
# The replay gives the same 4,192 gradients as the scalars. (A name of six letters does not use all rows of
# the position table. The gradients of the other rows are 0.)

# %%
parameters = model.parameters()
eager = np.array([p.grad for p in parameters])
with compiled.flat(parameters) as flat:
    flat.backward(encode(name))
    apart = abs(flat.gradients - eager).max()
print("largest difference below 1e-14:", apart < 1e-14)

# %% tags=["check"]
assert apart < 1e-14

# %% [markdown]
# ## Training
#
# One recording works for all names of the same length. The letters are *inputs* of the program: they select
# the row of a table. So each step takes a batch of names of the same length. During training, the parameters
# are in one array (`flat`), which Adam changes in place. At the end of the `with` block, they are copied
# back to the Values.

# %%
rng = random.Random(0)
shuffled = rng.sample(names, len(names))
test, train = shuffled[:2000], shuffled[2000:]
by_length = {}
for text in train:
    if 3 <= len(text) <= 9:  # nine names out of ten
        by_length.setdefault(len(text), []).append(encode(text))
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


# The mean loss per letter on names that the model has not seen.
sums = count = 0
for length in lengths:
    rows = np.array([encode(text) for text in test if len(text) == length])
    sums += compiled(rows) * len(rows) * (length + 1)
    count += len(rows) * (length + 1)
learned = sums / count
print(f"loss on new names: {learned:.1f} nats per letter, {loss.data:.1f} before training")

# %% tags=["check"]
assert learned < 2.35

# %% tags=["plot"]
figure = plots.figure(6, 3)
axes = figure.subplots()
smooth = np.convolve(losses, np.ones(100) / 100, mode="valid")
axes.plot(losses, color="#c6d3e3", linewidth=0.6, label="a batch of 32 names")
axes.plot(np.arange(len(smooth)) + 50, smooth, color="#1f6fb4", label="mean of 100 batches")
axes.axhline(math.log(27), color="#777777", linestyle="--", label="equal probabilities, log 27")
axes.set(xlabel="step", ylabel="nats per letter", ylim=(1.8, 3.5), title="Loss of a GPT of scalars")
axes.legend()
figure

# %% [markdown]
# ## The first steps agree with the scalars
#
# The compiled model computes the same thing, only faster. Here are three steps of the same training, once
# in Values with `backward`, and once replayed.

# %%
texts = [encode(text) for text in ("emma", "noah", "luca")]
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

# %% tags=["check"]
assert all(abs(x - y) < 1e-10 for x, y in zip(by_value, by_array, strict=True))

# %% [markdown]
# ## The names it invents
#
# To invent a name, start with the end token and draw the next letter from the model's probabilities. Repeat
# this until the model draws the end token. A temperature below 1 makes likely letters even more likely.

# %%
logits = autograd.compile(lambda tokens: model(tokens))
invented = [model.sample(seed, temperature=0.8, logits=logits) for seed in range(28)]
known = set(names)

# %% tags=["plot"]
figure = plots.figure(6, 2.4)
axes = figure.subplots()
axes.axis("off")
for k, text in enumerate(invented):
    color = "#777777" if text in known else "#1f6fb4"
    axes.text(k % 4 / 4, 1 - k // 4 / 7, text, color=color, fontsize=12, va="top")
axes.set_title("invented names (gray: also a real name)", fontsize=10)
figure

# %% tags=["check"]
assert all(set(text) <= set(LETTERS) for text in invented)
assert sum(text not in known for text in invented) > 5

# %% [markdown]
# Has the model learned where a name can end? At the start of a name, the probability of the end token is
# almost 0. After the last letter of "anna", it is more than five times as high as after the first.

# %%
rows = [log_softmax(row) for row in model(encode("anna")[:-1])]
ends = [math.exp(row[END].data) for row in rows]
print("ends after '':", f"{ends[0]:.2f}")

# %% tags=["check"]
assert ends[0] < 0.02
assert ends[4] > 5 * ends[1]

# %% [markdown]
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** A model has 50 tokens and gives all of them the same probability. What is its loss per token?

# %%
from nn import exercises

answer = ...
exercises.check("6.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# -log(1/50) = log 50 = 3.91.
# </details>
#
# **2.** A query has the scores 0 and log 3 with two keys, and their values are 8 and 4. What is the result of
# attention?

# %%
answer = ...
exercises.check("6.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Softmax of (0, log 3) is (1/4, 3/4). So the result is 8/4 + 3 · 4/4 = 5.
# </details>
#
# **3.** How many parameters does the table of letters have?

# %%
answer = ...
exercises.check("6.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# 27 tokens with 16 numbers each: 432.
# </details>
#
# **4.** The logits of two tokens are 0 and log 2. What is the probability of the second at temperature 0.5?

# %%
answer = ...
exercises.check("6.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Divide the logits by the temperature: 0 and 2 log 2 = log 4. The probability is 4 / (1 + 4) = 0.8.
# </details>
