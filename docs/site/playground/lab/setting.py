"""A network and how it is trained, as the page's controls and its address describe it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab import samples
from nn import init, optim

ACTIVATIONS = ("tanh", "relu", "sigmoid", "gelu", "silu", "softplus", "softsign", "sin")
OPTIMIZERS = tuple(name for name in optim.NAMED if name != "lbfgs")  # L-BFGS calls the loss itself
INITIALIZERS = tuple(
    name for name in init.NAMED if not name.startswith(("xavier", "kaiming", "trunc", "ortho"))
)
MOST_LAYERS, MOST_NEURONS, MOST_POINTS = 4, 8, 200


@dataclass(frozen=True)
class Setting:
    """A network of two inputs and one output, its data, and its optimizer.

    Raises ValueError, with what is possible, for anything that the page could not show.
    """

    data: str = "moons"
    hidden: tuple[int, ...] = (6, 6)
    activation: str = "tanh"
    initializer: str = "glorot_uniform"
    optimizer: str = "sgd"
    rate: float = 0.5
    seed: int = 1
    points: tuple[tuple[float, float, int], ...] = ()

    def __post_init__(self) -> None:
        choices = {
            "data": samples.NAMES,
            "activation": ACTIVATIONS,
            "initializer": INITIALIZERS,
            "optimizer": OPTIMIZERS,
        }
        for field, possible in choices.items():
            if getattr(self, field) not in possible:
                raise ValueError(f"{field}: {getattr(self, field)!r} is not one of {possible}")
        if not 1 <= len(self.hidden) <= MOST_LAYERS:
            raise ValueError(f"hidden: 1 to {MOST_LAYERS} layers, got {len(self.hidden)}")
        if not all(1 <= count <= MOST_NEURONS for count in self.hidden):
            raise ValueError(f"hidden: 1 to {MOST_NEURONS} neurons in a layer, got {self.hidden}")
        if not 0.0 < self.rate <= 1000.0:
            raise ValueError(f"learning rate: above 0 and at most 1000, got {self.rate}")
        if len(self.points) > MOST_POINTS:
            raise ValueError(f"points: at most {MOST_POINTS}, got {len(self.points)}")

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Setting":
        """The setting that the page sends.

        >>> Setting.read({"hidden": [3], "rate": 0.1}).hidden
        (3,)
        """
        known = {key: value for key, value in fields.items() if key in cls.__dataclass_fields__}
        for key, kind in (("rate", float), ("seed", int)):
            if key in known:
                known[key] = kind(known[key])
        if "hidden" in known:
            known["hidden"] = tuple(int(count) for count in known["hidden"])
        if "points" in known:
            known["points"] = tuple((float(x), float(y), int(t)) for x, y, t in known["points"])
        return cls(**known)

    def fields(self) -> dict[str, Any]:
        """The setting as the page reads it."""
        return asdict(self)


def choices() -> dict[str, Any]:
    """What the page's controls offer."""
    return {
        "data": list(samples.NAMES),
        "activation": list(ACTIVATIONS),
        "initializer": list(INITIALIZERS),
        "optimizer": list(OPTIMIZERS),
        "start": Setting().fields(),
        "most": {"layers": MOST_LAYERS, "neurons": MOST_NEURONS, "points": MOST_POINTS},
    }
