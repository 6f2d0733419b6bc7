"""Small data sets that come with the package, and preparation of data for training."""

import gzip
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from autograd.elsewhere import absent, advised, attribute, named
from autograd.options import AT_LEAST_0, generator, real, whole
from nn import tables

Rows = list[list[float]]
Samples = tuple[Any, Any]  # inputs and targets, of the same length


@dataclass(frozen=True)
class Dataset:
    """Features (samples, width), a target for each sample, and the classes' names.

    Features and targets may be lists, arrays, DataFrames or Series; they become lists.  If the
    targets are classes, they are indices into the names; otherwise there are no names.

    Raises ValueError for features and targets of different lengths; ValueError, with row and
    column, for a number that is missing, nan or inf.
    """

    features: Rows
    targets: list[Any]
    names: list[str] = field(default_factory=list)

    __getattr__ = attribute

    def __post_init__(self) -> None:
        for name in ("features", "targets"):
            rows = tables.complete(getattr(self, name), f"Dataset: {name}")
            object.__setattr__(self, name, rows)
        if len(self.features) != len(self.targets):
            raise ValueError(
                f"Dataset: {len(self.features)} features, but {len(self.targets)} targets"
            )

    @classmethod
    def from_table(
        cls, table: Any, target: str, *, features: Sequence[str] | None = None
    ) -> "Dataset":
        """The Dataset of a DataFrame: one column is the target, the others are features.

        Text and truth values in the target's column are classes.  So are the numbers 0, 1, ... if
        none is missing; other numbers remain numbers.

        Args:
            target: the name of the target's column.
            features: the names of the features' columns; by default all others.

        Raises ValueError for an unknown column, for text in a feature and for gaps.
        """
        names = tables.columns(table)
        if not names:
            raise TypeError(
                f"from_table: expected a table with named columns, got {table!r:.60}; "
                "pandas.DataFrame(...) makes one from a dict or an array"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"from_table: two columns have the same name; there are {names}")
        # Column by column, because one array of ints and floats would contain floats only.
        keys = names if hasattr(table, "column_names") else table.columns
        columns = {str(n): tables.samples(table[n], "from_table") for n in keys}
        return cls._of("from_table", columns, target, features)

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        target: str,
        *,
        features: Sequence[str] | None = None,
        delimiter: str = ",",
    ) -> "Dataset":
        """The Dataset of a CSV file with names in its first line; see `from_table`.

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "fruit.csv"
        ...     _ = path.write_text("weight,round,fruit\\n150,1,apple\\n120,0,banana\\n")
        ...     fruit = Dataset.from_csv(path, target="fruit")
        >>> fruit.features, fruit.targets, fruit.names
        ([[150.0, 1.0], [120.0, 0.0]], [0, 1], ['apple', 'banana'])
        """
        names, rows = tables.read_csv(path, delimiter)
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        if features is None and "" in names:
            raise ValueError(
                "from_csv: a column has no name, as pandas writes the row numbers; choose the "
                "columns with features=, or write the file with index=False"
            )
        return cls._of("from_csv", columns, target, features)

    @classmethod
    def _of(
        cls,
        method: str,
        columns: Mapping[str, Sequence[Any]],
        target: str,
        features: Sequence[str] | None,
    ) -> "Dataset":
        targets = list(named(str(target), f"{method}: columns", columns))
        tables.complete([[y] for y in targets], method, [target], text=True)
        classes: list[Any] = list(dict.fromkeys(targets))
        if any(isinstance(y, str | bool) for y in classes):
            classes = sorted(set(map(str, targets)))
            targets = [classes.index(str(y)) for y in targets]
        elif set(classes) == set(range(len(classes))):  # also floats, which pandas may use
            targets, classes = [int(y) for y in targets], list(range(len(classes)))
        else:
            classes = []
        chosen = [name for name in columns if name != str(target)]
        if features is not None:
            chosen = [str(n) for n in tables.samples(features, f"{method}: features", "names")]
        inputs = list(zip(*(named(n, f"{method}: columns", columns) for n in chosen), strict=True))
        tables.complete(inputs, method, chosen, text=False)
        return cls([[float(x) for x in row] for row in inputs], targets, [*map(str, classes)])

    @advised
    def split(self, test: float = 0.2, seed: int = 0) -> "tuple[Dataset, Dataset]":
        """A training and a test set with the same share of each class, shuffled by the seed.

        >>> train, test = load_iris().split()
        >>> len(train.targets), [test.targets.count(k) for k in range(3)]
        (120, [10, 10, 10])
        """
        share, rng = real(test, "split: test", "(0, 1)"), generator(seed)
        chosen: list[int] = []
        for k in range(max(1, len(self.names))):
            members = [i for i, y in enumerate(self.targets) if not self.names or y == k]
            chosen += rng.sample(members, round(share * len(members)))
        others = [i for i in range(len(self.targets)) if i not in set(chosen)]
        rng.shuffle(others)
        return self._only(others), self._only(chosen)

    def _only(self, indices: Sequence[int]) -> "Dataset":
        features = [self.features[i] for i in indices]
        return Dataset(features, [self.targets[i] for i in indices], self.names)

    def standardized(self, like: "Dataset | None" = None) -> "Dataset":
        """A Dataset with features of mean 0 and variance 1, by the statistics of `like` or its own.

        Use the training set's statistics for a test set, so that nothing leaks from the test set.

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


def samples(data: Any, subject: str = "data") -> Samples:
    """Inputs and targets of a Dataset or a pair, as two lists of the same length.

    Inputs and targets may be lists, arrays, DataFrames or Series; ValueError, with row and column,
    for a number that is missing, nan or inf.
    """
    if isinstance(data, Dataset):
        return list(data.features), list(data.targets)
    if not isinstance(data, list | tuple) or len(data) != 2:
        kind, hint = type(data).__name__, ""
        if hasattr(data, "columns"):
            hint = "; Dataset.from_table(table, target=...) converts it"
        elif isinstance(data, list | tuple):
            hint = f" of {len(data)}; list(zip(*pairs)) converts pairs"
        raise TypeError(f"{subject}: expected a Dataset or (inputs, targets), got {kind}{hint}")
    if are_paths(data):
        raise TypeError(
            f"{subject}: expected numbers in memory, got the paths {data[0]} and {data[1]}; "
            "use numpy.load"
        )
    inputs = tables.complete(data[0], f"{subject}: inputs")
    targets = tables.complete(data[1], f"{subject}: targets")
    if len(inputs) != len(targets):
        raise ValueError(f"{subject}: {len(inputs)} inputs, but {len(targets)} targets")
    if not inputs:
        raise ValueError(f"{subject}: no samples")
    return inputs, targets


def are_paths(data: Any) -> bool:
    """Whether the data are the paths of two files.

    >>> are_paths(["x.npy", "y.npy"]), are_paths([[1.0], [2.0]])
    (True, False)
    """
    pair = isinstance(data, list | tuple) and len(data) == 2
    return pair and all(isinstance(part, str | os.PathLike) for part in data)


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
    """32,033 first names in lower case, the most common ones first.

    Source: the United States' Social Security Administration, from A. Karpathy's makemore.

    >>> names = load_names()
    >>> len(names), names[:3]
    (32033, ['emma', 'olivia', 'ava'])
    """
    text = (resources.files("nn") / "datasets" / "names.txt").read_text()
    return text.split()


def load_moons(count: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points on two interlocking half circles: features x and y, classes 0 and 1.

    The upper one is (cos t, sin t), the lower one (1 - cos t, 0.5 - sin t) for t from 0 to pi.
    `noise` is the standard deviation of added normal noise.  It is scikit-learn's make_moons with
    other random numbers.

    >>> moons = load_moons(100)
    >>> len(moons.features), moons.targets.count(1)
    (100, 50)
    """
    count, rng = whole(count, "load_moons: count", 2), generator(seed)
    noise = real(noise, "load_moons: noise", AT_LEAST_0)
    upper = count - count // 2
    features: Rows = []
    for i in range(count):
        k, size = (i, upper) if i < upper else (i - upper, count - upper)
        t = math.pi * k / max(size - 1, 1)
        x, y = (math.cos(t), math.sin(t)) if i < upper else (1 - math.cos(t), 0.5 - math.sin(t))
        features.append([x + rng.gauss(0.0, noise), y + rng.gauss(0.0, noise)])
    return Dataset(features, [int(i >= upper) for i in range(count)], ["upper", "lower"])


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
