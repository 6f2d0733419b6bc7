# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, name: python3}
# ---

# %% [markdown]
# # Can you see backprop in your own model?
#
# The models that people train are written in PyTorch. PyTorch gives you the gradients, but does not show where
# they come from. This notebook takes a small transformer block from PyTorch and turns it into scalars. Then it
# shows the block, follows the gradient of one attention weight, and finds a mistake in a backward pass written
# by hand.
#
# You need PyTorch: `pip install 'chainrule[torch]'`.
#
# ## The block
#
# Three tokens look at themselves and at the tokens before them (causal attention). Then each goes through a
# small network. Each of the two parts adds its result to its input.

# %%
import math

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(size, size, bias=False) for _ in range(3))

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.T / math.sqrt(x.shape[-1])
        later = torch.ones_like(scores, dtype=torch.bool).triu(1)
        return F.softmax(scores.masked_fill(later, -math.inf), dim=-1) @ v


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = Attention(size)
        self.network = nn.Sequential(nn.Linear(size, 6), nn.GELU(), nn.Linear(6, size))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.network(self.norm2(x))


torch.manual_seed(0)
block = Block(3).double()
x, target = torch.randn(3, 3).double(), torch.randn(3, 3).double()


def loss(y):
    return F.mse_loss(y, target)


print(f"loss {loss(block(x)).item():.6f}, {sum(p.numel() for p in block.parameters())} parameters")

# %% [markdown]
# ## The block in scalars
#
# `from_torch` exports the block and runs it on Values. The parameters keep their names, and each part of the
# block becomes a scope.

# %%
from autograd import topological
from autograd.bridges.torch import from_torch

model = from_torch(block, x, loss=loss)
model.result.backward()
print(f"{model}, {len(topological(model.result))} nodes, loss {model.result.data:.6f}")

# %% tags=["check"]
assert abs(model.result.data - loss(block(x)).item()) < 1e-12

# %% [markdown]
# Are the gradients the same as PyTorch's? The comparison includes every number. For each parameter, the
# table shows the number that differs most.

# %%
model.gradients()

# %% tags=["check"]
assert model.gradients()

# %% [markdown]
# ## The picture
#
# A picture of all these nodes would be unreadable, so each scope is one box. The two sums between the boxes are
# the places where the block adds a result to its input:

# %%
from autograd import draw

draw(model.result, direction="TB", limit=60)

# %% [markdown]
# Each part of the block is a module, too, so you can look at it alone. Here is the layer `query` with x as its
# input, and one number of its result for the first token:

# %%
query = from_torch(block.attention.query, x)
query.result[0, 0].backward()
draw(query.result[0, 0])

# %% [markdown]
# ## One attention weight
#
# The weight `query.weight[0, 0]` affects the queries of all tokens. Each query affects scores, and each score
# affects a softmax. How does the weight change the loss? Its gradient is a sum over all paths to the loss.
# There are many paths, and their contributions have both signs. Here are the three largest:

# %%
from autograd import explain

weight = model.parameters["attention.query.weight"][0, 0]
paths = explain(model.result, weight)
print(f"gradient {paths.total:.6f}, {paths.count:,} paths")
for path in paths.paths[:3]:
    print(f"{path.product:+.6f}, {path.share:.1%} of it: a product of {len(path.locals)} slopes")

# %% tags=["check"]
assert abs(paths.total - block.attention.query.weight.new_tensor(weight.grad).item()) < 1e-12
assert paths.count > 1000

# %% [markdown]
# The first token can only look at itself, so its softmax is always 1, and its query makes no difference.
# If we change the weight, only the results of the second and the third token change.
#
# ## Step by step
#
# The player steps through the backward pass. Here it is for the number of the query from above:

# %%
from autograd import play

play(query.result[0, 0])

# %% [markdown]
# ## The check
#
# Is the backward pass right? `check_gradients` runs the block again, at nearby points and in decimals. Here it
# checks ten of the inputs and parameters:

# %%
from autograd import check_gradients

report = check_gradients(model, x.tolist(), parameters=model, sample=10)
print(report.verdict.value)

# %% tags=["check"]
assert report

# %% [markdown]
# ## A mistake
#
# Somebody wants to save memory and writes an activation with its own backward pass. The activation is tanh,
# and its slope is 1 - tanh². Can you see the mistake?


# %%
class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (1 - x * x)


class Activation(nn.Module):
    def forward(self, x):
        return Tanh.apply(x)


block.network[1] = Activation()
try:
    torch.autograd.gradcheck(block, x.clone().requires_grad_())
except RuntimeError as error:
    print("gradcheck:", str(error).splitlines()[0])

# %% [markdown]
# PyTorch's `gradcheck` says that something in the block is wrong. `check_rules` says where the mistake is,
# and what it is:

# %%
from autograd.bridges.torch import check_rules

found = check_rules(block, x)
print(found)

# %% tags=["check"]
assert "tanh: dz/dx is 1 - x * x where it should be 1 - z * z, in module network.1" in str(found)

# %% [markdown]
# The backward pass squares the input of tanh instead of its output. `forward` has to save the output.
#
# ## Exercises
#
# Replace the dots with your answer and run the cell.
#
# **1.** A token has the query q = 2, and the keys of the two tokens that it can see are 1 and 3. There is one
# number per token, so the scores are the products, divided by 1. What is the weight of the second token?

# %%
from nn import exercises

answer = ...
exercises.check("8.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The scores are 2 and 6. The softmax gives the second token exp(6) / (exp(2) + exp(6)) = 1 / (1 + exp(-4)) =
# 0.982.
# </details>
#
# **2.** The block adds its input to the result of each part: y = x + f(x). The slope of f at x is -0.25. What is
# dy/dx?

# %%
answer = ...
exercises.check("8.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# dy/dx = 1 + f'(x) = 0.75. The 1 is the path around f. Through it, the gradient reaches the lower layers
# undiminished.
# </details>
#
# **3.** Write the backward pass of the activation z = tanh(x), given the result z and the gradient g of the
# loss with respect to z.

# %%
answer = ...  # a function of z and g that returns dL/dx
exercises.check("8.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# `answer = lambda z, g: g * (1 - z * z)`
# </details>
#
# **4.** The first token sees only itself. Which of its vectors have a gradient of exactly 0, whatever the
# loss is?
#
# - a: none
# - b: its query, its key and its value
# - c: only its query
# - d: its query and its key

# %%
answer = ...  # "a", "b", "c" or "d"
exercises.check("8.4", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# c. Its softmax has one entry, which is 1 for every query. Its key is used by the later tokens, and its value by
# all of them.
# </details>
