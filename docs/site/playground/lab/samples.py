"""The playground's data: points on a plane from -2 to 2, of two classes, 1 and -1."""

import math
import random
from collections.abc import Sequence

from nn.data import load_moons

REACH = 2.0  # the plane's sides
OWN = "own"
COUNT = 32

Sample = tuple[list[float], float]


def _clusters(rng: random.Random) -> list[Sample]:
    return [
        ([t + rng.gauss(0.0, 0.35), t + rng.gauss(0.0, 0.35)], t)
        for t in (1.0, -1.0)
        for _ in range(COUNT // 2)
    ]


def _xor(rng: random.Random) -> list[Sample]:
    corners = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    return [
        ([x + rng.gauss(0.0, 0.25), y + rng.gauss(0.0, 0.25)], -x * y)
        for x, y in corners
        for _ in range(COUNT // 4)
    ]


def _circle(rng: random.Random) -> list[Sample]:
    made: list[Sample] = []
    for k in range(COUNT):
        inside = k % 2 == 0
        radius = rng.uniform(0.0, 0.8) if inside else rng.uniform(1.2, 1.7)
        angle = rng.uniform(0.0, 2.0 * math.pi)
        point = [radius * math.cos(angle), radius * math.sin(angle)]
        made.append((point, 1.0 if inside else -1.0))
    return made


def _moons(rng: random.Random) -> list[Sample]:
    moons = load_moons(COUNT, 0.1, rng.randrange(1 << 30))
    return [
        ([1.1 * (x - 0.5), 1.5 * (y - 0.25)], 1.0 - 2.0 * t)
        for (x, y), t in zip(moons.features, moons.targets, strict=True)
    ]


def _spiral(rng: random.Random) -> list[Sample]:
    made: list[Sample] = []
    for k in range(COUNT):
        t = 1.0 if k % 2 else -1.0
        radius = 0.25 + 1.5 * k / COUNT
        angle = 4.2 * k / COUNT + (math.pi if k % 2 else 0.0)
        made.append(([radius * math.cos(angle), radius * math.sin(angle)], t))
    return made


_MAKERS = {
    "clusters": _clusters,
    "xor": _xor,
    "circle": _circle,
    "moons": _moons,
    "spiral": _spiral,
}
NAMES = (*_MAKERS, OWN)


def made(name: str, seed: int, own: Sequence[tuple[float, float, int]]) -> list[Sample]:
    """The samples of that name; those of `own` are the points that the user clicked.

    >>> len(made("xor", 0, ()))
    32
    """
    if name == OWN:
        return [([x, y], 1.0 if target > 0 else -1.0) for x, y, target in own]
    return _MAKERS[name](random.Random(seed))  # noqa: S311 - the same seed gives the same points
