"""The walks of CONTRIBUTING.md: what is added in one place is found, used and tested everywhere."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# For each file: the text that something new is put in front of, and the new text.
OPERATION = {
    "autograd/ops.py": [("    # The remainders and steps are", '    triple = Op("3 * x", "3")\n')],
}
LOSS = {
    "nn/losses.py": [
        (
            "@_of_signs\ndef hinge()",
            '''@_of_numbers
def quartic() -> Callable[[Number, Number], Number]:
    """Mean of (output - target)^4.  Gradient: 4 (output - target)^3."""
    return lambda z, y: (z - y) ** 4


''',
        )
    ],
}
INITIALIZER = {
    "nn/init.py": [
        ('"gain", "examine",', '"signs", '),
        (
            "NAMED: dict",
            '''@final
@dataclass(frozen=True)
class Signs(Initializer):
    """Plus or minus 1 / fan_in."""

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        return [[rng.choice([-1.0, 1.0]) / fan_in for _ in range(fan_in)] for _ in range(fan_out)]

    def std(self, fan_in: int, fan_out: int) -> float:
        return 1.0 / fan_in

    def bound(self, fan_in: int, fan_out: int) -> float:
        return 1.0 / fan_in


def signs() -> Initializer:
    """Plus or minus 1 / fan_in.  It fails in deep networks, whose signal dies out."""
    return Signs()


''',
        ),
    ],
}
OPTIMIZER = {
    "nn/optim.py": [
        (
            "NAMED: dict",
            '''class HalfSGD(Optimizer):
    """x <- x - lr * g / 2."""

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The step that the class describes."""
        return x - 0.5 * options["lr"] * g, {}


''',
        ),
        ("NAdam, LBFGS)", "HalfSGD, "),
    ],
    "tests/test_optim.py": [
        (
            "BY_HAND: dict",
            "def half_sgd(x, slopes, lr):\n    return [x := x - lr * g / 2 for g in slopes]\n\n\n",
        ),
        ("Lion: lion}", "optim.HalfSGD: half_sgd, "),
    ],
}  # fmt: skip
WALKS = {"triple": OPERATION, "quartic": LOSS, "signs": INITIALIZER, "HalfSGD": OPTIMIZER}
TEMPLATES = ["table", "compile", "decimals", "losses", "init", "optim"]


def passed(output: str) -> Counter[str]:
    """How many tests of each new thing have passed."""
    lines = [line for line in output.splitlines() if "PASSED" in line]
    return Counter(
        name for line in lines for name in WALKS if f"[{name}" in line or f"{name}]" in line
    )


@pytest.mark.slow
@pytest.mark.untraced
def test_what_is_added_in_one_place_is_found_by_the_templates_and_passes(tmp_path: Path) -> None:
    for folder in ("autograd", "nn", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "attacks", "benchmarks")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for walk in WALKS.values():
        for file, changes in walk.items():
            path = tmp_path / file
            text = path.read_text()
            for before, new in changes:
                assert text.count(before) == 1, (file, before)
                text = text.replace(before, new + before)
            path.write_text(text)
    files = [f"tests/test_{name}.py" for name in TEMPLATES]
    options = ["-v", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", " or ".join(WALKS)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:]
    assert min(passed(run.stdout)[name] for name in WALKS) >= 4, passed(run.stdout)
