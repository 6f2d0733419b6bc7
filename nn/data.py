"""Small data sets that come with the package, and what is done to data before training."""

import gzip
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

Rows = list[list[float]]


@dataclass(frozen=True)
class Dataset:
    """Features (samples, width), a class index for each sample, and the classes' names."""

    features: Rows
    targets: list[int]
    names: list[str]

    def split(self, test: float = 0.2, seed: int = 0) -> "tuple[Dataset, Dataset]":
        """A training and a test set with the same share of each class, shuffled by the seed.

        >>> train, test = load_iris().split()
        >>> len(train.targets), [test.targets.count(k) for k in range(3)]
        (120, [10, 10, 10])
        """
        if not 0.0 < test < 1.0:
            raise ValueError(f"split: test must be a share between 0 and 1, got {test!r}")
        rng = random.Random(seed)  # noqa: S311 - no secret
        chosen: list[int] = []
        for k in range(len(self.names)):
            mine = [i for i, target in enumerate(self.targets) if target == k]
            chosen += rng.sample(mine, round(test * len(mine)))
        rest = [i for i in range(len(self.targets)) if i not in set(chosen)]
        rng.shuffle(rest)
        return self._only(rest), self._only(chosen)

    def _only(self, indices: Sequence[int]) -> "Dataset":
        features = [self.features[i] for i in indices]
        return Dataset(features, [self.targets[i] for i in indices], self.names)

    def standardized(self, like: "Dataset | None" = None) -> "Dataset":
        """The features with mean 0 and variance 1, by the statistics of `like` (else its own).

        A test set takes the training set's statistics, or it would tell about itself.

        >>> abs(sum(row[0] for row in load_iris().standardized().features)) < 1e-9
        True
        """
        columns = list(zip(*(like or self).features, strict=True))
        means = [sum(column) / len(column) for column in columns]
        scales = [
            (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5 or 1.0
            for column, mean in zip(columns, means, strict=True)
        ]
        features = [
            [(x - mean) / scale for x, mean, scale in zip(row, means, scales, strict=True)]
            for row in self.features
        ]
        return Dataset(features, self.targets, self.names)


def load_iris() -> Dataset:
    """150 irises of three kinds: sepal length and width, petal length and width, in cm.

    Source: E. Anderson (1935), R. A. Fisher (1936), The use of multiple measurements in taxonomic
    problems.

    >>> iris = load_iris()
    >>> len(iris.features), iris.features[0], iris.names[iris.targets[0]]
    (150, [5.1, 3.5, 1.4, 0.2], 'setosa')
    """
    text = (resources.files("nn") / "datasets" / "iris.csv").read_text()
    head, *lines = text.split()
    _, width, *names = head.split(",")
    rows = [line.split(",") for line in lines]
    features = [[float(x) for x in row[: int(width)]] for row in rows]
    return Dataset(features, [int(row[-1]) for row in rows], names)


def load_digits() -> Dataset:
    """1,797 handwritten digits as 8 x 8 images of numbers 0 to 16, row by row, classes 0 to 9.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository (the test part, as scikit-learn has it).

    >>> digits = load_digits()
    >>> len(digits.features), len(digits.features[0]), max(digits.features[0])
    (1797, 64, 15.0)
    """
    data = (resources.files("nn") / "datasets" / "digits.csv.gz").read_bytes()
    rows = [line.split(",") for line in gzip.decompress(data).decode().split()]
    features = [[float(x) for x in row[:-1]] for row in rows]
    return Dataset(features, [int(row[-1]) for row in rows], list("0123456789"))


def load_names() -> list[str]:
    """32,033 given names in small letters, the commonest first.

    Source: the United States' Social Security Administration, as kept by A. Karpathy (makemore).

    >>> names = load_names()
    >>> len(names), names[:3]
    (32033, ['emma', 'olivia', 'ava'])
    """
    text = (resources.files("nn") / "datasets" / "names.txt").read_text()
    return text.split()


def load_moons(count: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two half circles that reach into each other, generated: features x and y, classes 0 and 1.

    The upper one is (cos t, sin t), the lower one (1 - cos t, 0.5 - sin t) for t from 0 to pi, with
    normal noise of that standard deviation.  As in scikit-learn's make_moons, with other numbers.

    >>> moons = load_moons(100)
    >>> len(moons.features), moons.targets.count(1)
    (100, 50)
    """
    if count < 2 or not 0.0 <= noise < math.inf:
        raise ValueError(f"load_moons: count >= 2 and noise >= 0, got {count!r} and {noise!r}")
    rng = random.Random(seed)  # noqa: S311 - no secret
    upper = count - count // 2
    features: Rows = []
    for i in range(count):
        k, of = (i, upper) if i < upper else (i - upper, count - upper)
        t = math.pi * k / max(of - 1, 1)
        x, y = (math.cos(t), math.sin(t)) if i < upper else (1 - math.cos(t), 0.5 - math.sin(t))
        features.append([x + rng.gauss(0.0, noise), y + rng.gauss(0.0, noise)])
    return Dataset(features, [int(i >= upper) for i in range(count)], ["upper", "lower"])
