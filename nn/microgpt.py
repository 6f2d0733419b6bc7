"""A character-level GPT in plain scalars; attention is dot products, sums and a softmax."""

import math
import random
from collections.abc import Sequence
from typing import Any

from autograd import Value
from autograd.operands import item
from autograd.options import POSITIVE, generator, real, whole
from nn.init import normal
from nn.layers import Embedding, Layer
from nn.losses import sparse_categorical_crossentropy
from nn.module import Module, grouped
from nn.probabilities import softmax, total

Row = list[Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = len(LETTERS)  # the token before the first letter and after the last


def encode(name: str) -> list[int]:
    """The tokens of a name in letters a-z, with END before and after.

    >>> encode("abc")
    [26, 0, 1, 2, 26]
    """
    if not name or set(name) - set(LETTERS):
        raise ValueError(f"encode: expected letters a-z, got {name!r}")
    return [END, *(LETTERS.index(letter) for letter in name), END]


def normalized(x: Row) -> Row:
    """x / sqrt(mean of x^2 + 1e-5): RMSNorm without a gain (Zhang and Sennrich 2019, eq. 4)."""
    scale = (total([number * number for number in x]) / len(x) + 1e-5) ** -0.5
    return [number * scale for number in x]


def _added(x: Row, y: Row) -> Row:
    return [a + b for a, b in zip(x, y, strict=True)]


class MicroGPT(Module):
    """A transformer decoder: embeddings, blocks of attention and a ReLU layer, and a linear head.

    The blocks are those of GPT-2 (Radford et al. 2019) with RMSNorm and without biases.

    Args:
        width: the length of the vectors, a multiple of `heads`.
        heads: the number of attention heads.
        block: the largest number of tokens.
        layers: the number of blocks.
        vocabulary: the number of different tokens.
        seed: an int, a `random.Random` or None.

    >>> model = MicroGPT(seed=0)
    >>> len(model.parameters())
    4192
    >>> logits = model(encode("ada")[:-1])
    >>> len(logits), len(logits[0])
    (4, 27)
    """

    def __init__(
        self,
        width: int = 16,
        heads: int = 4,
        block: int = 16,
        layers: int = 1,
        vocabulary: int = END + 1,
        seed: int | random.Random | None = None,
    ) -> None:
        super().__init__()
        counts = {"width": width, "heads": heads, "block": block, "layers": layers}
        width, heads, block, layers = (whole(n, f"microgpt: {k}") for k, n in counts.items())
        if width % heads:
            raise ValueError(f"microgpt: width must be a multiple of heads={heads}, got {width}")
        rng = generator(seed)
        start = normal(0.0, 0.08)

        def linear(fan_in: int, fan_out: int, name: str, activation: str | None = None) -> Layer:
            return Layer(fan_in, fan_out, activation, bias=False, init=start, seed=rng, name=name)

        self.heads, self.block = heads, block
        self.letters = Embedding(vocabulary, width, init=start, seed=rng, name="letters")
        self.positions = Embedding(block, width, init=start, seed=rng, name="positions")
        self.blocks = [
            {
                "query": linear(width, width, "query"),
                "key": linear(width, width, "key"),
                "value": linear(width, width, "value"),
                "output": linear(width, width, "output"),
                "up": linear(width, 4 * width, "up", "relu"),
                "down": linear(4 * width, width, "down"),
            }
            for _ in range(layers)
        ]
        self.head = linear(width, vocabulary, "head")

    def forward(self, tokens: Sequence[int]) -> list[Row]:
        """The logits of the next token, one row for each token."""
        if not 1 <= len(tokens) <= self.block:
            raise ValueError(f"microgpt: expected 1 to {self.block} tokens, got {len(tokens)}")
        x = [
            normalized(_added(self.letters(token), self.positions(i)))
            for i, token in enumerate(tokens)
        ]
        for i, block in enumerate(self.blocks):
            with grouped(f"block {i}"):
                x = self._attention(block, x)
                x = [self._perceptron(block, row) for row in x]
        return [self.head(row) for row in x]

    def _attention(self, block: dict[str, Layer], x: list[Row]) -> list[Row]:
        """The rows after attention to themselves and earlier rows (Vaswani et al. 2017)."""
        inputs = [normalized(row) for row in x]
        queries, keys, values = (
            [block[name](row) for row in inputs] for name in ("query", "key", "value")
        )
        size = len(x[0]) // self.heads
        rows = []
        for i, query in enumerate(queries):
            combined: Row = []
            with grouped("attention"):
                for start in range(0, len(query), size):
                    part = range(start, start + size)
                    scores = [
                        total([query[k] * key[k] for k in part]) / math.sqrt(size)
                        for key in keys[: i + 1]
                    ]
                    weights = softmax(scores)
                    combined += [
                        total([w * value[k] for w, value in zip(weights, values, strict=False)])
                        for k in part
                    ]
            rows.append(_added(x[i], block["output"](combined)))
        return rows

    def _perceptron(self, block: dict[str, Layer], x: Row) -> Row:
        return _added(x, block["down"](block["up"](normalized(x))))

    def loss(self, tokens: Sequence[int]) -> Value:
        """The mean of -log p(next token) over a text, in nats."""
        loss: Value = sparse_categorical_crossentropy(
            self(tokens[:-1]), list(tokens[1:]), from_logits=True
        )
        return loss

    def sample(self, seed: int | None = None, temperature: float = 1.0, logits: Any = None) -> str:
        """A name, drawn letter by letter; a lower temperature makes likely letters likelier.

        `logits` is the function that computes them, by default the model; a compiled model is
        faster.
        """
        temperature = real(temperature, "sample: temperature", POSITIVE)
        rng = generator(seed)
        tokens = [END]
        while len(tokens) < self.block:
            row = [item(z) / temperature for z in (logits or self)(tokens)[-1]]
            drawn = rng.choices(range(len(row)), [item(p) for p in softmax(row)])[0]
            if drawn == END:
                break
            tokens.append(drawn)
        return "".join(LETTERS[token] for token in tokens[1:])
