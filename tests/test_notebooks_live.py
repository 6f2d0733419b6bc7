"""The player in live notebooks: JupyterLab and marimo, in headless Chromium."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from autograd import expression, play

SET_UP = """\
from autograd import expression, play
player = play(expression("h = tanh(w*x + b); (h - 1)**2", w=2, x=-1, b=0.5), {})"""
PLAYER = play(expression("h = tanh(w*x + b); (h - 1)**2", w=2, x=-1, b=0.5), {})
COUNT = len(PLAYER)

CELLS = [SET_UP + "\nplayer", "w = player.widget()\nw", "print('STEP', w.step, '|', w.event)"]

MARIMO = """\
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from autograd import expression, play

    player = play(expression("h = tanh(w*x + b); (h - 1)**2", w=2, x=-1, b=0.5), {})
    player
    return mo, player


@app.cell
def _(mo, player):
    w = mo.ui.anywidget(player.widget())
    w
    return (w,)


@app.cell
def _(mo, w):
    mo.md(f"STEP {w.value['step']} | {w.widget.event}")
    return


@app.cell
def _(mo, w):
    def move(_):
        w.widget.step = 5

    mo.ui.button(label="to the sixth", on_click=move)
    return


if __name__ == "__main__":
    app.run()
"""


def notebook(cells: list[str], output: str = "") -> str:
    """A notebook file; with an output, its first cell has been executed somewhere else."""
    shown = {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {"text/html": output, "text/plain": "<Player>"},
        "metadata": {},
    }
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell{i}",
            "source": cell,
            "metadata": {},
            "execution_count": 1 if output else None,
            "outputs": [shown] if output else [],
        }
        for i, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    )


@contextlib.contextmanager
def server(folder: Path, module: str, options: list[str], alive: str) -> Iterator[str]:
    """A notebook server on a free port of this machine, stopped at the end with all it started."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module} (pip install {module})")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    homes = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
    homes += ["XDG_CONFIG_HOME", "XDG_STATE_HOME"]
    environment = {**os.environ, **{name: str(folder / ".home" / name) for name in homes}}
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *options, f"--port={port}"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(address + alive, timeout=5):
                break
            assert running.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(10)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "live.ipynb").write_text(notebook(CELLS))
    output = play(expression("tanh(w*x)", w=2, x=-1), {})._repr_html_()
    (folder / "stranger.ipynb").write_text(notebook(["player"], output))
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1"]
    options += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with server(folder, "jupyterlab", options, "/api") as address:
        yield address


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A page that can reach this machine and nothing else."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    context.route(
        lambda url: urlsplit(url).hostname not in (None, "127.0.0.1"), lambda route: route.abort()
    )
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    yield opened
    context.close()


def place(frame: Any, event: int, count: int = COUNT) -> None:
    """Wait until the player in a frame is at an event."""
    frame.locator("#place", has_text=re.compile(f"^event {event} of {count}$")).wait_for()


def test_the_output_and_the_widget_step_in_jupyterlab(jupyter: str, tab: Any) -> None:
    tab.goto(f"{jupyter}/lab/tree/live.ipynb")
    tab.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session"
    )

    def run(command: str) -> None:
        tab.evaluate("command => window.jupyterapp.commands.execute(command)", command)

    run("notebook:run-all-cells")
    output, widget = (tab.frame_locator("iframe[srcdoc]").nth(i) for i in (0, 1))
    place(output, 1)
    output.locator("#next").click()
    place(output, 2)
    place(widget, 1)
    widget.locator("#next").click()
    widget.locator("#next").click()
    place(widget, 3)
    place(output, 2)
    tab.get_by_text("STEP 0 |").wait_for()
    run("notebook:run-cell")  # the last one, which is the present one
    tab.get_by_text(f"STEP 2 | {PLAYER[2]}").wait_for()
    tab.evaluate(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
        ".requestExecute({code: 'w.step = 5'}).done.then(() => null)"
    )
    place(widget, 6)


def test_a_stripped_output_leaves_the_still_picture_in_jupyterlab(jupyter: str, tab: Any) -> None:
    tab.goto(f"{jupyter}/lab/tree/stranger.ipynb")
    picture = tab.locator(".jp-OutputArea img")
    picture.wait_for()
    assert tab.locator("iframe[srcdoc]").count() == 0
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")


def test_the_output_and_the_widget_step_in_marimo(tmp_path: Path, tab: Any) -> None:
    (tmp_path / "live.py").write_text(MARIMO)
    options = ["run", "live.py", "--headless", "--host=127.0.0.1", "--no-token"]
    with server(tmp_path, "marimo", options, "/health") as address:
        tab.goto(address)
        output, widget = (tab.frame_locator("iframe[srcdoc]").nth(i) for i in (0, 1))
        place(output, 1)
        output.locator("#next").click()
        place(output, 2)
        place(widget, 1)
        widget.locator("#next").click()
        tab.get_by_text(f"STEP 1 | {PLAYER[1]}").wait_for()
        tab.get_by_role("button", name="to the sixth").click()
        place(widget, 6)
