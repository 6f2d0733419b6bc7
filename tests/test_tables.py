"""Arrays, DataFrames, Series and CSV files as data: rows in order, and gaps by their place."""

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, check_gradients
from autograd.options import generator, real, truth, whole
from nn import (
    MLP,
    Embedding,
    categorical_hinge,
    cce,
    celu,
    cosine_similarity,
    fit,
    hardtanh,
    init,
    learning_rate_sweep,
    log_softmax,
    metrics,
    mish,
    mse,
    selu,
    softmax,
    tables,
)
from nn.data import Dataset, load_iris, samples
from nn.microgpt import MicroGPT
from nn.optim import SGD, Adam
from nn.schedules import ReduceOnPlateau, Step
from nn.sweeps import sweep

np = pytest.importorskip("numpy")

ROWS, AMOUNTS = [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]], [1.0, 3.0, 2.0]


class Sparse:
    """Stands in for a sparse matrix of scipy."""

    def toarray(self) -> Any:
        return np.array(ROWS)


class Polars:
    """Stands in for a table of polars: its arrays would count dates as days."""

    def __init__(self, rows: Any) -> None:
        self.table, self.columns = [tuple(row) for row in rows], ["a", "b"]

    def rows(self) -> Any:
        return self.table

    def to_numpy(self) -> Any:
        raise AssertionError


class Arrow:
    """Stands in for a table of pyarrow: its columns are no names, and its length is rows."""

    def __init__(self, rows: Any) -> None:
        self.table, self.column_names = np.array(rows), ["a", "b"]
        self.columns, self.shape = [*self.table.T], self.table.shape

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: Any) -> Any:
        return self.columns[self.column_names.index(name)]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.table


class Column:
    """Stands in for a Series whose labels are shuffled: it is asked by label."""

    def __init__(self, numbers: Any, labels: Any) -> None:
        self.values, self.index = np.array(numbers), list(labels)
        self.dtype = self.values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, label: Any) -> Any:
        return dict(zip(self.index, self.values, strict=True))[label]

    def tolist(self) -> Any:
        return self.values.tolist()


class Frame:
    """Stands in for a DataFrame: it is iterated by the names of its columns."""

    def __init__(self, rows: Any, columns: list[str]) -> None:
        self.values, self.columns = np.array(rows), columns

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return Column(self.values[:, self.columns.index(name)], [2, 0, 1])

    def to_numpy(self) -> Any:
        return self.values


def pandas(rows: Any, targets: Any) -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(rows, columns=["a", "b"], index=[2, 0, 1]), pd.Series(targets, [2, 0, 1])


# How a user may have features and targets.
KINDS: dict[str, Any] = {
    "lists": lambda x, y: (x, y),
    "tuples": lambda x, y: (tuple(map(tuple, x)), tuple(y)),
    "arrays": lambda x, y: (np.array(x), np.array(y)),
    "float32": lambda x, y: (np.array(x, dtype=np.float32), np.array(y, dtype=np.float32)),
    "objects": lambda x, y: (np.array(x, dtype=object), np.array(y, dtype=object)),
    "rows of arrays": lambda x, y: ([np.array(row) for row in x], [np.float64(t) for t in y]),
    "a column": lambda x, y: (np.array(x), np.array(y)[:, None]),
    "tables": lambda x, y: (Frame(x, ["a", "b"]), Column(y, [2, 0, 1])),
    "pandas": pandas,
    "polars": lambda x, y: (Polars(x), np.array(y)),
    "arrow": lambda x, y: (Arrow(x), np.array(y)),
    "long doubles": lambda x, y: (np.array(x, np.longdouble), [np.longdouble(t) for t in y]),
    "numbers of arrays": lambda x, y: (
        [[*map(np.float32, row)] for row in x],
        [np.array(t) for t in y],
    ),
    "fractions": lambda x, y: ([[*map(Fraction, r)] for r in x], [np.array(t, object) for t in y]),
}
each = pytest.mark.parametrize("kind", KINDS)


def trained(x: Any, y: Any, **options: Any) -> list[float]:
    model = MLP([2, 1], None, seed=0)
    return fit(model, (x, y), loss=mse, optimizer=SGD(model, lr=0.01), epochs=2, **options).loss


@pytest.mark.parametrize("compiled", [False, True])
@each
def test_training_sees_rows_in_order(kind: str, compiled: bool) -> None:
    data = KINDS[kind](ROWS, AMOUNTS)
    assert trained(*data, compiled=compiled) == pytest.approx(trained(ROWS, AMOUNTS), rel=1e-12)


@each
def test_losses_metrics_and_datasets_see_rows_in_order(kind: str) -> None:
    x, y = KINDS[kind](ROWS, AMOUNTS)
    z = [[Value(0.5)], [Value(2.0)], [Value(2.5)]]
    assert mse(z, y).data == mse(z, AMOUNTS).data
    assert metrics.mae(z, y) == metrics.mae(z, AMOUNTS)
    data = Dataset(x, y)
    assert [list(map(float, row)) for row in data.features] == ROWS
    flat = [t[0] if isinstance(t, list) else t for t in data.targets]
    assert {type(t) for t in flat} | {type(z) for row in data.features for z in row} == {float}
    assert samples((x, y))[0] == data.features


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("side", ["inputs", "targets"])
@each
def test_a_gap_is_named_by_row_and_column_before_training(kind: str, side: str, gap: Any) -> None:
    x, y = [list(row) for row in ROWS], list(AMOUNTS)
    (x[1] if side == "inputs" else y)[1] = gap
    if gap is None and kind not in ("lists", "tuples", "objects"):
        return
    if kind == "fractions":
        return
    data = KINDS[kind](x, y)
    column = "'b'" if kind in ("tables", "pandas", "polars", "arrow") else "1"
    place = "row 1, column " + column if side == "inputs" else "row 1"
    with pytest.raises(ValueError, match=f"^data: {side}: {place}.* is (missing|nan|-?inf);") as e:
        trained(*data)
    assert "learning rate" not in str(e.value)


UNUSABLE = [
    (date(2020, 1, 1), r"datetime\.date\(2020, 1, 1\); convert it"),
    (np.datetime64("2020-01-01", "ns"), r"datetime\.datetime\(2020, 1, 1, 0, 0\); convert it"),
    (np.timedelta64(1, "ns"), r"datetime\.timedelta\(0\); convert it"),
    (Decimal(1), r"Decimal\('1'\); convert it"),
    (1j, "1j; convert it"),
    (10**400, "an integer that is too large for a float"),
]


@pytest.mark.parametrize("unit", ["ns", "us", "D"])
@pytest.mark.parametrize("kind", ["M8", "m8"])
def test_dates_and_durations_are_no_features(kind: str, unit: str) -> None:
    times = np.array([[1, 2], [3, 4]], f"{kind}[{unit}]")
    with pytest.raises(ValueError, match=r"inputs: row 0, column 0 is datetime\..* convert it"):
        trained(times, [1.0, 2.0])
    with pytest.raises(TypeError, match=r"expected (an array of numbers|a real number)"):
        autograd.compile(MLP([2, 1], None, seed=0))(times)


def test_masked_numbers_are_gaps() -> None:
    masked = np.ma.array(ROWS, mask=[[0, 0], [0, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"inputs: row 1, column 1 is missing"):
        trained(masked, AMOUNTS)
    model = autograd.compile(MLP([2, 1], None, seed=0))
    with pytest.raises(ValueError, match=r"numbers of the array are masked; write x\.filled"):
        model(masked)
    assert model(np.ma.array(ROWS))[0].tolist() == model(np.array(ROWS))[0].tolist()


def test_text_in_an_array_is_named_and_in_a_list_it_is_for_the_model_to_say() -> None:
    with pytest.raises(ValueError, match=r"inputs: row 1, column 1 is 'x'; convert it to numbers"):
        trained(np.array([[1.0, 2.0], [3.0, "x"]], dtype=object), [1.0, 2.0])
    for given, told in UNUSABLE:
        with pytest.raises(ValueError, match=f"^data: inputs: row 1, column 1 is {told}"):
            trained([[1.0, 2.0], [3.0, given]], [1.0, 2.0])
    assert samples((["ada", "bob"], [0, 1]))[0] == ["ada", "bob"]
    assert samples(([{"x": 1.0}], [0]))[0] == [{"x": 1.0}]


@pytest.mark.parametrize(
    "data",
    [
        {0: ROWS, 1: AMOUNTS},
        (dict(enumerate(ROWS)), AMOUNTS),
        (ROWS, dict(enumerate(AMOUNTS))),
        "ab",
        (ROWS, 5),
        ({1, 2}, AMOUNTS),
        ((row for row in ROWS), AMOUNTS),
        (Sparse(), AMOUNTS),
    ],
)
def test_what_is_no_sequence_of_samples_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"expected (a Dataset or|a list or an array)") as refused:
        samples(data)
    if isinstance(data[0], Sparse | Iterator):
        assert ("toarray()" in str(refused.value)) == isinstance(data[0], Sparse)
        assert ("list(...)" in str(refused.value)) == isinstance(data[0], Iterator)


def test_a_sparse_matrix_is_no_argument_of_a_compiled_model() -> None:
    with pytest.raises(TypeError, match=r"got Sparse; write \.toarray\(\) for a sparse matrix"):
        autograd.compile(MLP([2, 1], None, seed=0))(Sparse())


def test_a_table_in_place_of_a_pair_leads_to_a_dataset() -> None:
    with pytest.raises(TypeError, match=r"Dataset\.from_table\(table, target=\.\.\.\) converts it"):
        samples(Frame(ROWS, ["a", "b"]))


def test_a_model_given_a_table_says_that_it_takes_one_sample() -> None:
    model = MLP([2, 1], None, seed=0)
    for batch in (Frame(ROWS, ["a", "b"]), np.array(ROWS), np.array(ROWS[:2])):
        with pytest.raises(ValueError, match=r"one sample at a time, as in \[model\(x\) for x in"):
            model(batch)
    assert model(np.array(ROWS[1]))[0].data == model(Column(ROWS[1], "ab"))[0].data
    with pytest.raises(TypeError, match="expected a sequence of numbers or Values, got dict"):
        model({0: 1.0, 1: 2.0})


COMPILED = ["arrays", "float32", "objects", "tables", "pandas", "polars", "arrow"]


@pytest.mark.parametrize("kind", COMPILED)
def test_a_compiled_model_takes_a_table_as_its_rows(kind: str) -> None:
    model = MLP([2, 1], None, seed=0)
    fast = autograd.compile(model)
    (wanted,) = zip(*(model(row) for row in ROWS), strict=True)
    (got,) = fast(KINDS[kind](ROWS, AMOUNTS)[0])
    assert got.tolist() == pytest.approx([z.data for z in wanted], rel=1e-12)
    assert metrics.mae(fast(KINDS[kind](ROWS, AMOUNTS)[0]), AMOUNTS) > 0.0


# ------------------------------------------------------------------ numbers


K = np.int64


def OBJECT(k: int) -> Any:
    return np.array(k, object)


@pytest.mark.parametrize(
    "kind", [np.int64, np.uint8, np.array, lambda k: np.array(k, dtype="i4"), OBJECT]
)
def test_whole_numbers_of_numpy_are_sizes_counts_seeds_and_classes(kind: Any) -> None:
    model = MLP([kind(2), kind(4), 1], "tanh", seed=kind(3))
    assert model.state_dict() == MLP([2, 4, 1], "tanh", seed=3).state_dict()
    assert MLP(np.array([2, 4, 1]), "tanh", seed=3).sizes == (2, 4, 1)
    assert MLP(kind(2), [kind(4), 1]).sizes == (2, 4, 1)
    history = fit(
        model, (ROWS, AMOUNTS), loss=mse, optimizer=SGD(model, lr=0.01),
        epochs=kind(2), batch_size=kind(2), seed=kind(1), patience=kind(5), clip=np.float32(9.0),
    )  # fmt: skip
    assert len(history) == 2
    assert init.he_normal()(kind(2), kind(3), kind(1)) == init.he_normal()(2, 3, 1)
    assert load_iris().split(np.float32(0.5), kind(1)) == load_iris().split(0.5, 1)
    assert metrics.accuracy([[0.0, 1.0]], [kind(1)]) == 1.0
    x, y = Value(2.0, "x"), Value(3.0, "y")
    assert autograd.select([1.0, 2.0], kind(1)) == 2.0
    assert autograd.replaced([1.0, 2.0], kind(1), np.float16(0.5))[1] == 0.5
    assert len(autograd.explain(x * y + x, x, k=kind(1)).paths) == 1
    assert len(autograd.draw(x * y, limit=kind(9)).source) > 0
    square = autograd.compile(lambda z: z * z, threads=kind(1), cache=kind(2), verify=kind(1))
    assert square(3.0) == 9.0
    assert Step(0.1, every=kind(2))(kind(3)) == Step(0.1, every=2)(3)
    gpt = MicroGPT(width=kind(4), heads=kind(2), block=kind(3), seed=kind(1))
    assert gpt.sample(seed=kind(1)) == MicroGPT(4, 2, 3, seed=1).sample(seed=1)
    report = check_gradients(lambda a, b: a * b, x, y, sample=kind(1), seed=kind(2))
    assert len(report.rows) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda k: autograd.select([1.0, 2.0], k),
        lambda k: autograd.replaced([1.0, 2.0], k, 0.0),
        lambda k: autograd.explain(Value(1.0) * 2.0, Value(1.0), k=k),
        lambda k: autograd.draw(Value(1.0) * 2.0, limit=k),
        lambda k: autograd.compile(len, threads=k),
        lambda k: autograd.compile(len, cache=k),
        lambda k: autograd.compile(len, verify=k),
        lambda k: check_gradients(lambda x: x * x, 1.0, sample=k),
        lambda k: check_gradients(lambda x: x * x, 1.0, seed=k),
        lambda k: MicroGPT(width=k),
        lambda k: Step(0.1, every=2)(k),
        lambda k: Embedding(3, 2)(k),
    ],
)
@pytest.mark.parametrize("wrong", [1.5, "1", True, np.True_, [1], np.timedelta64(1), math.nan])
def test_what_is_no_whole_number_is_refused_by_name(call: Any, wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"whole number|expected an index"):
        call(wrong)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble, np.float64, np.array])
@pytest.mark.parametrize("f", [mish, selu, partial(celu, alpha=3.0), hardtanh])
def test_activations_of_numbers_compute_in_doubles(f: Any, kind: Any) -> None:
    x = kind(0.1)
    assert (f(x), type(f(x))) == (f(float(x)), float)
    assert softmax([x, 1.0]) == softmax([float(x), 1.0])
    assert log_softmax([x, 1.0]) == log_softmax([float(x), 1.0])
    row = [[x, kind(-0.3)]], [[kind(0.25), 0.75]]
    plain = [[*map(float, row[0][0])]], [[0.25, 0.75]]
    for loss in (categorical_hinge, cosine_similarity, partial(cce, from_logits=True)):
        assert loss(*row).data == loss(*plain).data


def test_options_that_are_set_by_hand_become_pythons_numbers() -> None:
    x = Value(2.0)
    optimizer = SGD([x], lr=0.1)
    optimizer.groups[0].options["lr"] = np.float32(0.5)
    (x * x).backward()
    optimizer.step()
    assert (x.data, type(x.data), type(optimizer.lr)) == (0.0, float, float)
    schedule = ReduceOnPlateau(0.1)
    schedule.observe(np.float32(0.5))
    assert type(schedule.state_dict()["best"]) is float


def test_sequences_are_asked_by_position_not_by_label() -> None:
    shuffled: Any = Column([1.0, 2.0], [1, 0])
    assert autograd.select(shuffled, 0) == 1.0
    neuron = MLP([2, 1], None, seed=0)
    weights = "layers.0.neurons.0.weights"
    for given in (shuffled, np.array([1.0, 2.0]), (1, np.float32(2.0))):
        neuron.load_state_dict({weights: given, "layers.0.neurons.0.bias": np.array(0.0)})
        assert neuron.state_dict()[weights] == [1.0, 2.0]
    kinds = [KINDS[kind](ROWS, AMOUNTS) for kind in ("lists", "tables", "arrays")]
    tables_ = [
        str(init.examine(MLP([2, 3, 1], "tanh", seed=0), x, loss=mse, targets=y, seed=K(1)))
        for x, y in kinds
    ]
    assert tables_[1:] == tables_[:1] * 2


def test_options_of_numpy_are_pythons_numbers() -> None:
    optimizer = Adam([Value(1.0)], betas=np.array([0.8, 0.9]), lr=np.array(0.5, object))
    assert optimizer.groups[0].options["betas"] == (0.8, 0.9)
    assert {type(b) for b in optimizer.groups[0].options["betas"]} == {float}
    assert len(trained(ROWS * 2, AMOUNTS * 2, validation=np.array(0.5))) == 2


def test_rates_of_numpy_are_those_of_lists() -> None:
    rates, model = np.logspace(-3, -1, 3), MLP([2, 1], None, seed=0)
    data = np.array(ROWS), np.array(AMOUNTS)

    def table(rates: Any) -> str:
        options: dict[str, Any] = {"loss": "mse", "rates": rates, "epochs": 2}
        return str(learning_rate_sweep(model, data, **options, optimizer="adam"))

    assert table(rates) == table(rates.tolist())
    with pytest.raises(ValueError, match="no rates"):
        table(np.array([]))
    grid = sweep(
        lambda start, seed: MLP([2, 1], None, init=start, seed=seed),
        data, loss="mse", rates=rates, seeds=np.arange(2), epochs=1,
    )  # fmt: skip
    assert (grid.rates, grid.seeds) == (rates.tolist(), [0, 1])
    assert [type(x) for x in (*grid.rates, *grid.seeds)] == [float] * 3 + [int] * 2


def test_single_options_are_pythons_numbers_or_refused() -> None:
    for given in (1, np.float32(1.0), np.array(1.0), Fraction(1), np.int8(1), True, np.True_):
        assert (real(given, "x"), type(real(given, "x"))) == (1.0, float)
    for given in (1, np.int8(1), np.array(1)):
        assert (whole(given, "n"), type(whole(given, "n"))) == (1, int)
    for wrong in (True, np.True_, 1.0, "1", None, np.array([1]), math.nan):
        with pytest.raises(ValueError, match=r"^n must be a whole number of at least 1, got"):
            whole(wrong, "n")
    assert whole(-5, "n", None) == -5
    assert [truth(x, "t") for x in (True, np.False_)] == [True, False]
    for wrong in (1, "yes", None):
        with pytest.raises(TypeError, match=r"^t must be True or False"):
            truth(wrong, "t")
    for wrong in (True, 1.5, "1"):
        with pytest.raises(TypeError, match=r"^seed: expected an int, a random.Random or None"):
            generator(wrong)
    assert generator(np.int64(5)).random() == generator(5).random()
    edges = {
        "[0, 1]": (0.0, 1.0),
        "[0, 1)": (0.0, 0.5),
        "(0, 1)": (0.25, 0.5),
        "(0, inf)": (1e-9, 9),
    }
    for interval, inside in edges.items():
        for x in inside:
            assert real(x, "x", interval) == x
        for x in (-1.0, 2.0 if interval[4] == "1" else math.inf, math.nan):
            with pytest.raises(ValueError, match=r"^x must be "):
                real(x, "x", interval)
    for interval, x in (("[0, 1)", 1.0), ("(0, 1)", 0.0), ("(0, inf)", 0.0)):
        with pytest.raises(ValueError, match=r"^x must be "):
            real(x, "x", interval)


# ------------------------------------------------------------------ files and tables


def csv(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_is_a_dataset(tmp_path: Path) -> None:
    path = csv(
        tmp_path, '\N{ZERO WIDTH NO-BREAK SPACE}size, kind,"age, years"\n1.5,cat,3\n\n2,dog,4\n'
    )
    assert Dataset.from_csv(path, "kind") == Dataset([[1.5, 3], [2, 4]], [0, 1], ["cat", "dog"])
    ages = Dataset.from_csv(path, target="age, years", features=["size"])
    assert (ages.features, ages.targets, ages.names) == ([[1.5], [2.0]], [3, 4], [])
    path = csv(tmp_path, "x;y\n1;0\n2;1\n3;1\n")
    classes = Dataset.from_csv(path, "y", delimiter=";")
    assert (classes.targets, classes.names) == ([0, 1, 1], ["0", "1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "data.csv: there are no rows"),
        ("x,y\n", "data.csv: there are no rows"),
        ("x,x\n1,2\n", "the first line has the same name twice"),
        ("x,y\n1,2\n3\n", "data.csv, line 3: 1 cells, but the first line has 2"),
        ("x,y\n1,2\n,3\n", "from_csv: row 1, column 'x' is missing"),
        ("x,y\n1,2\nNA,3\n", "from_csv: row 1, column 'x' is missing"),
        ("x,y\n1,2\n3,\n", "from_csv: row 1, column 'y' is missing"),
        ("x,y\n1,2\nbig,3\n", "from_csv: row 1, column 'x' is 'big'; convert it to numbers"),
        ("x,y\n1_000,2\n", "from_csv: row 0, column 'x' is '1_000'"),
        ("x,y\ninf,2\n", "from_csv: row 0, column 'x' is inf"),
        ("x,z\n1,2\n", "from_csv: columns: there is no 'y'; there are x, z"),
        (",x,y\n0,1,2\n", "from_csv: a column has no name, .* index=False"),
    ],
)
def test_a_csv_file_that_is_no_table_of_numbers_is_refused_by_place(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        Dataset.from_csv(csv(tmp_path, text), "y")


def test_a_csv_file_in_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n1,\N{LATIN SMALL LETTER E WITH ACUTE}\n", encoding="latin-1")
    with pytest.raises(ValueError, match=r"^data\.csv: it is not in UTF-8; save it in this"):
        Dataset.from_csv(path, "y")


@pytest.mark.parametrize("wrong", [{"x": [1.0]}, np.array(ROWS), [[1.0]]])
def test_what_has_no_named_columns_is_no_table(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a table with named columns, got"):
        Dataset.from_table(wrong, "y")


def test_a_table_is_a_dataset_column_by_column() -> None:
    table = Arrow([[0.5, 1], [1.5, 0]])
    assert Dataset.from_table(table, "b", features=np.array(["a"])).features == [[0.5], [1.5]]
    with pytest.raises(ValueError, match="two columns have the same name; there are"):
        Dataset.from_table(Frame([[0.5, 1]], ["x", "x"]), "x")
    with pytest.raises(TypeError, match="from_table: features: expected a list or an array of na"):
        Dataset.from_table(table, "b", features="a")
    frame = Frame([[0.5, 1], [1.5, 0]], ["x", "y"])
    assert Dataset.from_table(frame, "y") == Dataset([[0.5], [1.5]], [1, 0], ["0", "1"])
    with pytest.raises(ValueError, match="columns: there is no 'z'; there are x, y"):
        Dataset.from_table(frame, "z")
    with pytest.raises(ValueError, match=r"row 0, column 'x' is nan"):
        Dataset.from_table(Frame([[math.nan, 1.0]], ["x", "y"]), "y")


def test_a_dataframe_keeps_the_kinds_of_its_columns() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "x": [0.5, 1.5, 2.5],
            "n": [3, 4, 5],
            "flag": [True, False, True],
            "kind": ["b", "a", "b"],
        },
        index=[7, 7, 3],
    )
    data = Dataset.from_table(frame, target="kind")
    assert data == Dataset([[0.5, 3, 1], [1.5, 4, 0], [2.5, 5, 1]], [1, 0, 1], ["a", "b"])
    assert Dataset.from_table(frame, "flag", features=["x"]).names == ["False", "True"]
    counted = Dataset.from_table(frame, "n", features=["x", "flag"])
    assert (counted.targets, counted.names) == ([3, 4, 5], [])
    assert [type(y) for y in counted.targets] == [int, int, int]
    frame["kind"] = frame["kind"].astype("category")
    assert Dataset.from_table(frame, "kind") == data
    for gap, column in ((None, "kind"), (math.nan, "x"), (pd.NA, "x")):
        broken = frame.astype(object)
        broken.iloc[1, list(frame.columns).index(column)] = gap
        with pytest.raises(ValueError, match=f"row 1, column '{column}' is (missing|nan)"):
            Dataset.from_table(broken, "kind")


def test_a_dataset_checks_what_it_is_made_of() -> None:
    with pytest.raises(ValueError, match="Dataset: 3 features, but 2 targets"):
        Dataset(ROWS, [1, 2], [])
    with pytest.raises(ValueError, match="Dataset: features: row 0, column 0 is nan"):
        Dataset([[math.nan]], [1], [])
    train, test = Dataset(ROWS * 4, AMOUNTS * 4, []).split(0.25)
    assert (len(train.targets), len(test.targets)) == (9, 3)


def test_images_are_named_by_their_places() -> None:
    with pytest.raises(ValueError, match=r"x: row 1, column 0\[1\] is nan"):
        tables.complete([[[1.0, 2.0]], [[1.0, math.nan]]], "x")
