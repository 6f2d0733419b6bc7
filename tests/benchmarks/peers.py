"""The character GPT and a small network in other libraries, on one thread, in float64.

Each function returns one step, which computes loss and all gradients, or None if the library is not
installed.  The step's results are compared with ours before.
"""

import importlib
import importlib.util
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd
from autograd import Value, rows
from autograd.printers import arrays
from nn import MLP
from nn.microgpt import MicroGPT, encode

Step = Callable[[], Any]
NAME = "andrea"


def have(package: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(package) is not None


def alone(package: str) -> Any:
    """The package, on one thread."""
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    module = importlib.import_module(package)
    if package == "torch":
        module.set_num_threads(1)
    if package == "jax":
        module.config.update("jax_enable_x64", True)
    return module


def _numbers(values: Any) -> Any:
    return np.array([[w.data for w in row] for row in values])


def _weights(model: MicroGPT) -> dict[str, Any]:
    found = {name: [n.weights for n in layer.neurons] for name, layer in model.blocks[0].items()}
    found["head"] = [n.weights for n in model.head.neurons]
    found |= {"letters": model.letters.table, "positions": model.positions.table}
    return {name: _numbers(values) for name, values in found.items()}


def _check(found: float, gradients: dict[str, Any], model: MicroGPT) -> None:
    """Raise AssertionError if loss and gradients of a batch of equal names are not ours."""
    loss = model.loss(encode(NAME))
    loss.backward()
    assert abs(found - loss.data) < 1e-12
    own = {name: [n.weights for n in layer.neurons] for name, layer in model.blocks[0].items()}
    own |= {"letters": model.letters.table}
    for name, values in own.items():
        wanted = np.array([[w.grad for w in row] for row in values])
        assert abs(np.array(gradients[name]) - wanted).max() < 1e-12
    for p in model.parameters():
        p.grad = 0.0


# ---------------------------------------------------------------------- the GPT


def casadi_gpt(model: MicroGPT, _: int) -> Step | None:
    """CasADi's SX machine on the recorded operations, for one name."""
    if not have("casadi"):
        return None
    ca = alone("casadi")
    tokens = encode(NAME)
    function = autograd.compile(lambda: model.loss(tokens), engine="numpy")
    function()
    program = function.program
    tape = program.tape
    p = ca.SX.sym("p", tape.parameters)
    functions = {name: getattr(ca, name, None) for name in ("exp", "log", "log1p", "sqrt", "tanh")}
    math_names = type("Names", (), {**functions, "pow": ca.power, "fabs": ca.fabs})
    nodes: list[Any] = [*tape.constants.tolist(), *(p[i] for i in range(tape.parameters))]
    table = rows()
    texts = [arrays.text(table[name].value_tree) for name in tape.ops]
    lifted = program.lift([w.data for w in function.parameters], [])
    numbers = program.replayed(lifted.parameters, [], labels=False)
    for i, (k, a, b) in enumerate(
        zip(tape.code.tolist(), tape.a.tolist(), tape.b.tolist(), strict=True)
    ):
        if k >= 0:
            names = {"x": nodes[a], "y": nodes[b], "math": math_names, "where": ca.if_else}
            nodes.append(eval(texts[k], names))  # the table's own text
        else:  # what was chosen for these tokens
            found = numbers[tape.sources + i]
            same = [j for j, other in enumerate(numbers[: tape.sources + i]) if other is found]
            nodes.append(nodes[same[0]] if isinstance(found, Value) else float(found))
    loss = nodes[int(tape.outputs[0])]
    both = ca.Function("f", [p], [loss, ca.gradient(loss, p)])
    at = np.array([w.data for w in function.parameters])
    _, slope = both(at)
    _, want = function.parameter_gradients()
    assert abs(np.array(slope).ravel() - want).max() < 1e-12
    buffer, run = both.buffer()
    out, grad = np.zeros(1), np.zeros(len(at))
    buffer.set_arg(0, at.data)
    buffer.set_res(0, out.data)
    buffer.set_res(1, grad.data)
    run()
    assert abs(grad - want).max() < 1e-12
    kept = both, buffer, at, out, grad
    return lambda: (run(), kept)


def torch_gpt(model: MicroGPT, batch: int) -> Step | None:
    """PyTorch's tensors."""
    if not have("torch"):
        return None
    torch = alone("torch")
    weights = {name: torch.tensor(table) for name, table in _weights(model).items()}
    for one in weights.values():
        one.requires_grad_(True)
    tokens = torch.tensor([encode(NAME)] * batch)
    length, heads = tokens.shape[1] - 1, model.heads
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)

    def normalized(x: Any) -> Any:
        return x * ((x * x).mean(-1, keepdim=True) + 1e-5).rsqrt()

    def loss() -> Any:
        x = normalized(weights["letters"][tokens[:, :-1]] + weights["positions"][:length])
        inside = normalized(x)
        q, k, v = (
            (inside @ weights[name].T).view(batch, length, heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        taken = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1)
        x = x + taken @ weights["output"].T
        x = x + (normalized(x) @ weights["up"].T).relu() @ weights["down"].T
        logits = x @ weights["head"].T
        return torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1)
        )

    def step() -> None:
        for one in weights.values():
            one.grad = None
        loss().backward()

    step()
    _check(float(loss().detach()), {name: one.grad for name, one in weights.items()}, model)
    return step


def jax_gpt(model: MicroGPT, batch: int, around: Callable[[Any], Any] | None = None) -> Step | None:
    """JAX's arrays with jit and vmap; `around` changes the loss of a batch before its gradient."""
    if not have("jax"):
        return None
    jax, jnp = alone("jax"), alone("jax.numpy")
    weights = {name: jnp.asarray(table) for name, table in _weights(model).items()}
    tokens = jnp.asarray([encode(NAME)] * batch)
    length, heads = tokens.shape[1] - 1, model.heads
    mask = np.triu(np.full((length, length), -math.inf), 1)

    def normalized(x: Any) -> Any:
        return x * ((x * x).mean(-1, keepdims=True) + 1e-5) ** -0.5

    def loss_of_one(weights: Any, tokens: Any) -> Any:
        x = normalized(weights["letters"][tokens[:-1]] + weights["positions"][:length])
        inside = normalized(x)
        q, k, v = (
            (inside @ weights[name].T).reshape(length, heads, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + mask
        taken = (jax.nn.softmax(scores, -1) @ v).transpose(1, 0, 2).reshape(length, -1)
        x = x + taken @ weights["output"].T
        x = x + jax.nn.relu(normalized(x) @ weights["up"].T) @ weights["down"].T
        logits = x @ weights["head"].T
        chosen = logits[jnp.arange(length), tokens[1:]]
        return (jax.nn.logsumexp(logits, -1) - chosen).mean()

    def loss(weights: Any, tokens: Any) -> Any:
        return jax.vmap(loss_of_one, (None, 0))(weights, tokens).mean()

    both = jax.jit(jax.value_and_grad(around(loss) if around else loss))
    value, gradients = both(weights, tokens)
    _check(float(value), gradients, model)
    return lambda: jax.block_until_ready(both(weights, tokens))


def enzyme_gpt(model: MicroGPT, batch: int) -> Step | None:
    """The same, differentiated by Enzyme in LLVM."""
    if not (have("jax") and have("enzyme_ad")):
        return None
    alone("jax")
    return jax_gpt(model, batch, importlib.import_module("enzyme_ad.jax").enzyme_jax_ir())


GPTS: dict[str, Callable[[MicroGPT, int], Step | None]] = {
    "CasADi SX": casadi_gpt,
    "JAX": jax_gpt,
    "Enzyme-JAX": enzyme_gpt,
    "PyTorch": torch_gpt,
}


# ---------------------------------------------------------------------- a small network


def torch_network(model: MLP, x: Any, y: Any) -> Step | None:
    """PyTorch's tensors."""
    if not have("torch"):
        return None
    torch = alone("torch")
    layers = []
    for layer in model.layers:
        one = torch.nn.Linear(layer.fan_in, layer.fan_out, dtype=torch.float64)
        layers += [one, torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    tx, ty = torch.tensor(x), torch.tensor(y)

    def step() -> None:
        net.zero_grad()
        ((net(tx)[:, 0] - ty) ** 2).mean().backward()

    return step


def jax_network(model: MLP, x: Any, y: Any) -> Step | None:
    """JAX's arrays with jit."""
    if not have("jax"):
        return None
    jax, jnp = alone("jax"), alone("jax.numpy")
    rng = np.random.default_rng(0)
    sizes = [(layer.fan_out, layer.fan_in) for layer in model.layers]
    weights = [(jnp.asarray(rng.normal(size=size)), jnp.zeros(size[0])) for size in sizes]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(weights):
            x = x @ w.T + b
            x = jax.nn.relu(x) if k + 1 < len(weights) else x
        return ((x[:, 0] - y) ** 2).mean()

    both = jax.jit(jax.value_and_grad(loss))
    jx, jy = jnp.asarray(x), jnp.asarray(y)
    return lambda: jax.block_until_ready(both(weights, jx, jy))


NETWORKS: dict[str, Callable[[MLP, Any, Any], Step | None]] = {
    "JAX": jax_network,
    "PyTorch": torch_network,
}
