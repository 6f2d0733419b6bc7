"""Names from other libraries, and what to write here: for error messages and the guides."""

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from opcode import opmap
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

# fmt: off
# Arguments and attributes: the name here, and its names elsewhere.
_ELSEWHERE: dict[str, str] = {
    "fan_in": "nin in_features input_dim", "activation": "nonlin", "bias": "b use_bias",
    "fan_out": "nout units out_features", "init": "kernel_initializer", "count": "num_embeddings",
    "width": "embedding_dim", "direction": "rankdir", "progress": "verbose",
    "validation": "validation_split validation_data", "validation_loss": "val_loss",
    "test": "test_size", "seed": "random_state gradient",
    "groups": "param_groups", "features": "X", "targets": "y", "figure": "plot",
    "weights": "w weight", "class_weight": "weight pos_weight alpha", "reduction": "size_average",
    "lr": "learning_rate rate", "parameters": "params", "betas": "beta_1 beta_2 beta1 beta2",
    "rate": "learning_rate initial_learning_rate base_lr lr start_factor", "alpha": "rho",
    "rho": "alpha", "eps": "epsilon", "initial": "initial_accumulator_value",
    "every": "step_size decay_steps", "factor": "gamma decay_rate", "growth": "T_mult t_mul",
    "steps": "decay_steps T_max T_0 total_steps total_iters first_decay_steps",
    "final": "eta_min min_lr end_learning_rate end_factor", "peak": "max_lr", "warm": "pct_start",
    "start": "div_factor", "end": "final_div_factor", "function": "lr_lambda",
    "milestones": "boundaries", "label": "name", "line_search": "line_search_fn",
}
# The names here of a name elsewhere; a message gives the one that the callee has.
OPTIONS: dict[str, list[str]] = {}
for _here, _names in _ELSEWHERE.items():
    for _name in _names.split():
        OPTIONS.setdefault(_name, []).append(_here)

# Classes, functions and methods, and what to write instead.
NAMES: dict[str, str] = {
    "tensor": "autograd.Value(number)", "Tensor": "autograd.Value(number)",
    "Variable": "autograd.Value(number)", "Value": "autograd.Value(number)",
    "draw_dot": "autograd.draw(root)", "format": 'autograd.draw(root).render("picture.svg")',
    "Function": "autograd.define_op(...)",
    "enable_grad": "autograd.recording()", "inference_mode": "autograd.no_grad()",
    "set_grad_enabled": "autograd.no_grad() or autograd.recording()",
    "retain_graph": "backward() alone; a graph stays as long as its root",
    "create_graph": "autograd.grad(output, inputs, create_graph=True)",
    "set_to_none": "zero_grad() alone; a gradient is always a number",
    "MLP": "nn.MLP(sizes, activation)", "softmax": "nn.softmax(logits)", "optim": "nn.optim",
    "functional": "nn.mse, autograd.relu and so on; functions have no module of their own",
    "train_test_split": "nn.data.Dataset(x, y).split()", "lr_scheduler": "nn.schedules",
    "f1_score": "nn.metrics.f1",
    "accuracy_score": "nn.metrics.accuracy", "r2_score": "nn.metrics.r2",
    "mse_loss": "nn.mse", "l1_loss": "nn.mae",
    "compile": 'nn.fit(model, data, loss="mse", optimizer="adam", epochs=...)',
    "fit": 'nn.fit(model, data, loss="mse", optimizer="adam", epochs=...)',
    "predict": "autograd.compile(model)(inputs)", "summary": "print(model)",
    "Linear": "nn.Layer(fan_in, fan_out)", "Dense": "nn.Layer(fan_in, fan_out, activation)",
    "Parameter": "autograd.Value(number)", "ModuleList": "a list of modules",
    "ReLU": 'activation="relu"', "LeakyReLU": 'activation="leaky_relu"',
    "Tanh": 'activation="tanh"', "Sigmoid": 'activation="sigmoid"', "GELU": 'activation="gelu"',
    "SiLU": 'activation="silu"', "swish": 'activation="silu"', "ELU": 'activation="elu"',
    "SELU": 'activation="selu"', "CELU": 'activation="celu"', "Mish": 'activation="mish"',
    "Softplus": 'activation="softplus"', "Softsign": 'activation="softsign"',
    "Hardtanh": 'activation="hardtanh"', "linear": "activation=None",
    "Softmax": "nn.Sequential(..., nn.softmax)", "LogSoftmax": "nn.Sequential(..., nn.log_softmax)",
    "MSELoss": "nn.mse", "L1Loss": "nn.mae", "HuberLoss": "nn.huber", "SmoothL1Loss": "nn.huber",
    "BCELoss": "nn.binary_crossentropy",
    "BCEWithLogitsLoss": "nn.binary_crossentropy(logits, targets, from_logits=True)",
    "CrossEntropyLoss": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "cross_entropy": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "NLLLoss": "nn.sparse_categorical_crossentropy(logits, classes, from_logits=True)",
    "KLDivLoss": "nn.kl_divergence", "PoissonNLLLoss": "nn.poisson(logs, targets, log_input=True)",
    "CosineEmbeddingLoss": "nn.cosine_similarity", "MultiMarginLoss": "nn.categorical_hinge",
    "Adam": "nn.optim.Adam(model)", "SGD": "nn.optim.SGD(model)",
    "step": "optimizer.lr = schedule(optimizer.taken), or nn.fit(..., schedule=schedule)",
    "get_last_lr": "schedule(optimizer.taken)", "LRScheduler": "nn.schedules.Schedule",
    "StepLR": "nn.schedules.Step(rate, every, factor)",
    "MultiStepLR": "nn.schedules.MultiStep(rate, milestones, factor)",
    "ExponentialLR": "nn.schedules.Exponential(rate, factor)",
    "ConstantLR": "nn.schedules.Constant(rate)",
    "LinearLR": "nn.schedules.Linear(rate, steps, final)",
    "PolynomialLR": "nn.schedules.Polynomial(rate, steps, power)",
    "CosineAnnealingLR": "nn.schedules.Cosine(rate, steps, final)",
    "CosineDecay": "nn.schedules.Cosine(rate, steps, final)",
    "CosineAnnealingWarmRestarts": "nn.schedules.CosineRestarts(rate, steps, growth, final)",
    "OneCycleLR": "nn.schedules.OneCycle(peak, steps)",
    "SequentialLR": "nn.schedules.Sequential(parts, milestones)",
    "LambdaLR": "nn.schedules.Lambda(rate, function)",
    "ReduceLROnPlateau": "nn.schedules.ReduceOnPlateau(rate, factor, patience)",
    "clip_grad_norm_": "nn.optim.clip_norm(model, largest)",
    "clip_grad_value_": "nn.optim.clip_value(model, largest)",
    "DataLoader": "nn.fit(model, data, batch_size=...)",
    "TensorDataset": "nn.data.Dataset(features, targets)",
    "EarlyStopping": "nn.fit(model, data, patience=...)",
    "ModelCheckpoint": "nn.fit(model, data, checkpoint=path)",
    "xavier_uniform_": "nn.init.glorot_uniform()", "xavier_normal_": "nn.init.glorot_normal()",
    "kaiming_uniform_": "nn.init.he_uniform()", "kaiming_normal_": "nn.init.he_normal()",
}

# Calls with too many arguments by position, and what to write instead.
POSITIONS = {
    "Value": "; the parents come from the operation itself, and autograd.define_op adds operations",
    "fit": "; inputs and targets are one pair, as in fit(model, (inputs, targets), ...)",
    "MLP": "; the sizes are one list, as in MLP([2, 8, 1], \"tanh\")",
}

# Names that are left out on purpose, and what docs/left_out.md calls them.
LEFT_OUT: dict[str, str] = {
    "Dropout": "Dropout", "LayerNorm": "LayerNorm", "RMSNorm": "RMSNorm",
    "BatchNorm1d": "Batch normalization", "BatchNormalization": "Batch normalization",
    "Conv1d": "Convolution", "Conv1D": "Convolution", "Conv2d": "Convolution",
    "Conv2D": "Convolution", "RNN": "Recurrent cells", "LSTM": "Recurrent cells",
    "GRU": "Recurrent cells", "SimpleRNN": "Recurrent cells", "Lion": "Lion",
}
# fmt: on

_SHOWN = 20  # names in a message


def named(name: str, subject: str, known: Mapping[str, T]) -> T:
    """The entry with the name; ValueError with close names, or else with all names.

    >>> named("he_nrmal", "init", {"he_normal": 1, "zeros": 2})
    Traceback (most recent call last):
    ValueError: init: there is no 'he_nrmal'; did you mean 'he_normal'?
    """
    if name in known:
        return known[name]
    raise ValueError(f"{subject}: there is no {name!r}{advice(name, known)}")


def advice(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name, see `renamed`; all known names if none is close."""
    known = list(known)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return renamed(name, known) or f"; there are {', '.join(known[:_SHOWN])}{more}"


def renamed(name: str, known: Iterable[str]) -> str:
    """What another library's name is called here, or a close name; '' if there is neither.

    >>> renamed("Relu", ["relu"]), renamed("gamma", ["rate", "factor"])
    ("; did you mean 'relu'?", "; it is called 'factor' here")
    """
    for here in OPTIONS.get(name, ()):
        if here in known:
            return f"; it is called {here!r} here"
    if name in NAMES:
        return f"; write {NAMES[name]}"
    if name in LEFT_OUT and name not in known:
        return f"; it is left out on purpose: see {LEFT_OUT[name]!r} in docs/left_out.md"
    longer = [repr(other) for other in known if other.startswith(name)]
    return did_you_mean(name, known) or f"; did you mean {' or '.join(longer)}?" * bool(longer)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' with the closest known name, or '' if none is close.

    >>> did_you_mean("ReLU", ["relu", "tanh"]), did_you_mean("zzz", ["relu"])
    ("; did you mean 'relu'?", '')
    """
    spelled = {other.lower().replace("_", ""): other for other in known}
    near = difflib.get_close_matches(name[:40].lower().replace("_", ""), spelled, 1)
    return f"; did you mean {spelled[near[0]]!r}?" if near else ""


def absent(module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`; its error says what a missing name is called here.

    >>> absent("nn.optim", ["Adam"])("adam")
    Traceback (most recent call last):
    AttributeError: module 'nn.optim' has no attribute 'adam'; did you mean 'Adam'?
    """

    def missing(name: str) -> Any:
        raise unknown(f"module {module!r}", name, known)

    return missing


def unknown(owner: str, name: str, known: Iterable[str]) -> Exception:
    """The error for a missing attribute, with its name here; for use in a `__getattr__`.

    In `from module import name` it is an ImportError, because Python drops the text of an
    AttributeError there.
    """
    public = [other for other in known if not other.startswith("_")]
    hint = "" if name.startswith("__") else renamed(name, public)
    frame = sys._getframe(2)  # where the attribute was asked for
    imported = frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]
    kind = ImportError if imported and hint else AttributeError
    return kind(f"{owner} has no attribute {name!r}{hint}")


def attribute(self: Any, name: str) -> Any:
    """The `__getattr__` of a class: AttributeError, with the name here."""
    raise unknown(type(self).__name__, name, [*vars(self), *dir(type(self))])


def advised(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors say what an argument of another library is called here.

    >>> @advised
    ... def fall(height, *, gravity=9.8): ...
    >>> fall(1.0, gravty=1.6)
    Traceback (most recent call last):
    TypeError: fall: there is no argument 'gravty'; did you mean 'gravity'?
    """
    code = function.__code__
    name = function.__qualname__.removesuffix(".__init__")
    places = code.co_varnames[: code.co_argcount]
    known = [n for n in code.co_varnames[: len(places) + code.co_kwonlyargcount] if n != "self"]

    @wraps(function)
    def checked(*args: P.args, **named: P.kwargs) -> T:
        refuse([key for key in named if key not in known], name, known)
        if len(args) > len(places):
            given, hint = len(args) - ("self" in places), POSITIONS.get(name, "")
            first = " and ".join(known[: len(places) - ("self" in places)])
            raise TypeError(f"{name}: expected {first} by position, got {given} arguments{hint}")
        return function(*args, **named)

    return checked


def refuse(names: Iterable[str], call: str, known: Iterable[str] | None) -> None:
    """Raise TypeError, with the name here, if there are names of unknown arguments."""
    for name in names:
        raise TypeError(f"{call}: there is no argument {name!r}{advice(name, known or ())}")
