"""How long a saved player takes to load and to step, in headless Chromium, by the graph's size."""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograd import Value, play, scope, topological
from nn import MLP

# The time of a step is until the next frame has been painted; a browser paints 60 times a second,
# so 17 ms is the least there is.  What the script itself takes stands beside it.
STEPS = """
async (count) => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const script = [], screen = [];
  go(nodes.length - count / 2);
  await painted();
  for (let k = 0; k < count; k++) {
    const start = performance.now();
    go(place + 1);
    script.push(performance.now() - start);
    await painted();
    screen.push(performance.now() - start);
  }
  const middle = (all) => all.sort((a, b) => a - b)[all.length >> 1];
  return [middle(script), Math.max(...script), middle(screen), Math.max(...screen)];
}
"""


def network(sizes: list[int]) -> Value:
    """An MLP's squared output: its modules' scopes can be collapsed."""
    model = MLP(sizes, "tanh", seed=0)
    out: Any = model([Value(0.1 * i, f"x{i}") for i in range(sizes[0])])
    total = Value(0.0)
    for value in out if isinstance(out, list | tuple) else [out]:
        total = total + value * value
    return total


def chain(count: int, part: int = 0) -> Value:
    """A chain of some nodes, in scopes of so many where that is not 0."""
    total = Value(0.5, "x")
    for k in range(count // 2):
        if part:
            with scope(f"part {k // part}"):
                total = (total * 1.01).tanh()
        else:
            total = (total * 1.01).tanh()
    return total


GRAPHS: dict[str, Callable[[], Value]] = {
    "MLP 2-3-1": lambda: network([2, 3, 1]),
    "MLP 8-12-12-4": lambda: network([8, 12, 12, 4]),
    "MLP 9-19-19-5": lambda: network([9, 19, 19, 5]),
    "chain, 40 scopes": lambda: chain(2_000, 25),
    "chain, no scopes": lambda: chain(2_000),
    "chain, no scopes ": lambda: chain(60_000),
}


def main(arguments: list[str] | None = None) -> None:
    """Print a table; needs playwright and chromium."""
    argparse.ArgumentParser(description=main.__doc__).parse_args(arguments)
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    print("A saved player: writing it in Python, then loading and 100 steps in headless Chromium\n")
    print(
        "| graph | nodes | boxes | page MB | written s | loaded s "
        "| step ms | worst | painted ms | worst |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with sync_playwright() as p, tempfile.TemporaryDirectory() as folder:
        browser = p.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, make in GRAPHS.items():
            root = make()
            start = time.perf_counter()
            path = Path(play(root, {}).save(Path(folder) / "player.html"))
            written = time.perf_counter() - start
            tab = browser.new_page(viewport={"width": 1200, "height": 900})
            start = time.perf_counter()
            tab.goto(f"file://{path}")
            tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            loaded = time.perf_counter() - start
            steps = tab.evaluate(STEPS, min(100, 2 * (tab.evaluate("events.length") // 3)))
            boxes = tab.locator("g.node").count()
            size = path.stat().st_size / 1e6
            cells = [name.strip(), f"{len(topological(root)):,}", f"{boxes:,}", f"{size:.2f}"]
            cells += [f"{written:.2f}", f"{loaded:.2f}", *(f"{ms:.1f}" for ms in steps)]
            print(f"| {' | '.join(cells)} |", flush=True)
            tab.close()
        browser.close()


if __name__ == "__main__":
    main()
