"""The GPT of letters, beside the same in a few lines of NumPy."""

import math
import random
from typing import Any

import pytest

from nn.microgpt import END, LETTERS, MicroGPT, encode

np = pytest.importorskip("numpy")

SIZE: dict[str, int] = {"width": 8, "heads": 2, "block": 5}


def matrix(layer: Any) -> Any:
    return np.array([[w.data for w in neuron.weights] for neuron in layer.neurons])


def table(embedding: Any, index: int) -> Any:
    return np.array([w.data for w in embedding(index)])


def normal(x: Any) -> Any:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)


def logits(model: MicroGPT, tokens: list[int]) -> Any:
    x = normal(
        np.stack(
            [table(model.letters, t) + table(model.positions, i) for i, t in enumerate(tokens)]
        )
    )
    for block in model.blocks:
        inside = normal(x)
        q, k, v = (inside @ matrix(block[name]).T for name in ("query", "key", "value"))
        size = x.shape[1] // model.heads
        taken = []
        for h in range(0, x.shape[1], size):
            part = slice(h, h + size)
            scores = q[:, part] @ k[:, part].T / math.sqrt(size)
            scores[np.triu_indices(len(tokens), 1)] = -np.inf
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            taken.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, part])
        x = x + np.concatenate(taken, axis=1) @ matrix(block["output"]).T
        up = np.maximum(normal(x) @ matrix(block["up"]).T, 0.0)
        x = x + up @ matrix(block["down"]).T
    return x @ matrix(model.head).T


@pytest.mark.parametrize("layers", [1, 2])
def test_logits_and_loss_are_those_of_the_same_network_in_arrays(layers: int) -> None:
    model = MicroGPT(**SIZE, layers=layers, seed=0)
    for p in model.parameters():
        p.data *= 4.0  # so that every part has a say
    tokens = encode("adam")
    wanted = logits(model, tokens[:-1])
    found = [[z.data for z in row] for row in model(tokens[:-1])]
    assert np.array(found) == pytest.approx(wanted, rel=1e-11, abs=1e-12)
    shifted = wanted - wanted.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -np.mean([log_p[i, t] for i, t in enumerate(tokens[1:])])
    assert model.loss(tokens).data == pytest.approx(loss, rel=1e-12)


def test_weights_are_drawn_in_turn_from_one_seed() -> None:
    numbers = [p.data for p in MicroGPT(**SIZE, seed=3).parameters()]
    assert numbers == [p.data for p in MicroGPT(**SIZE, seed=random.Random(3)).parameters()]
    assert numbers != [p.data for p in MicroGPT(**SIZE, seed=4).parameters()]
    assert len(set(numbers)) == len(numbers) == 2 * 27 * 8 + 5 * 8 + 4 * 64 + 2 * 256
    model = MicroGPT(seed=0)
    numbers = [p.data for p in model.parameters()]
    spread = math.sqrt(sum(x * x for x in numbers) / len(numbers))
    assert spread == pytest.approx(0.08, rel=0.05)
    assert abs(sum(numbers) / len(numbers)) < 0.005
    for part in (model.letters, model.positions, model.head, *model.blocks[0].values()):
        some = [p.data for p in part.parameters()]
        own = math.sqrt(sum(x * x for x in some) / len(some))
        assert own == pytest.approx(0.08, rel=0.15)
    rng = random.Random(1)
    MicroGPT(**SIZE, seed=rng)
    assert rng.random() != random.Random(1).random()  # all of it came from that one


def test_parts_have_their_names() -> None:
    model = MicroGPT(**SIZE, layers=2, seed=0)
    assert (model.letters.name, model.positions.name, model.head.name) == (
        "letters", "positions", "head"
    )  # fmt: skip
    assert [list(block) for block in model.blocks] == [
        ["query", "key", "value", "output", "up", "down"]
    ] * 2
    for block in model.blocks:
        assert [layer.name for layer in block.values()] == list(block)
        assert [layer.activation is not None for layer in block.values()] == [False] * 4 + [
            True, False
        ]  # fmt: skip
    scopes = {node.scope for node in nodes(model([0, 1])[1][0])}
    assert {"microgpt/block 0/attention", "microgpt/block 1/up/neuron 0"} <= scopes


def nodes(root: Any) -> list[Any]:
    from autograd import topological

    return list(topological(root))


def test_a_text_may_be_as_long_as_the_block_and_no_longer() -> None:
    model = MicroGPT(**SIZE, seed=0)
    assert len(model([1] * 5)) == 5
    assert len(model([1])) == 1
    for count in (0, 6):
        with pytest.raises(ValueError, match=f"expected 1 to 5 tokens, got {count}$"):
            model([1] * count)


def test_every_letter_has_its_token() -> None:
    assert encode(LETTERS) == [END, *range(26), END]
    assert encode("aa") == [26, 0, 0, 26]


def test_letters_are_drawn_with_the_probabilities_of_their_logits() -> None:
    model = MicroGPT(**SIZE, seed=0)
    seen: list[list[int]] = []
    rows = np.random.default_rng(0).normal(0.0, 2.0, (5, 27))
    rows[:, END] = -1e9

    def given(tokens: list[int]) -> Any:
        seen.append(list(tokens))
        return rows[: len(tokens)].tolist()

    for temperature in (None, 1.0, 0.5, 3.0):
        seen.clear()
        options = {} if temperature is None else {"temperature": temperature}
        name = model.sample(seed=7, logits=given, **options)
        rng, letters = random.Random(7), ""
        for row in rows[:4]:
            scaled = row / (temperature or 1.0)
            p = np.exp(scaled - scaled.max())
            letters += LETTERS[rng.choices(range(27), (p / p.sum()).tolist())[0]]
        assert name == letters  # as long as the block allows
        assert seen == [[END, *encode(name)[1 : k + 1]] for k in range(4)]
    rows[2] = -1e9
    rows[2, END] = 0.0
    assert len(model.sample(seed=7, logits=given)) == 2
    assert model.sample(seed=7, logits=given) == model.sample(seed=7, logits=given)
    rows[0] = -1e9
    rows[0, END] = 0.0
    assert model.sample(logits=given) == ""
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"finite number above 0, got {temperature}$"):
            model.sample(temperature=temperature)


def test_the_model_itself_is_asked_where_no_logits_are_given() -> None:
    model = MicroGPT(**SIZE, seed=0)
    assert model.sample(seed=1) == model.sample(seed=1, logits=model)
    names = {model.sample(seed=k) for k in range(4)}
    assert len(names) > 1
