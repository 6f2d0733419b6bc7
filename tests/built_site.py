"""The site, written once for all tests that look at it, and served where only it can be reached."""

import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_LONG = 300.0  # seconds; building takes a tenth of it


def built(temporary: Path) -> Path:
    """The folder of the site; the first worker that asks writes it, and the others wait.

    It is written with what the group `site` brings and no more.  What the build prints is in
    build.txt beside it.
    """
    shared = temporary.parent if os.environ.get("PYTEST_XDIST_WORKER") else temporary
    folder, report = shared / "site", shared / "build.txt"
    try:
        (shared / "building").mkdir()
    except FileExistsError:
        end = time.monotonic() + _LONG
        while not report.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        command = [sys.executable, ROOT / "tests" / "only.py", "site"]
        command += [ROOT / "docs" / "site" / "assemble.py", folder, "--npm", ROOT / "out" / "npm"]
        start = time.monotonic()
        run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        seconds = time.monotonic() - start
        partial = report.with_suffix(".partial")
        partial.write_text(f"{run.stdout}{run.stderr}built in {seconds:.0f} s\n")
        if run.returncode:
            (shared / "failed").touch()
        partial.rename(report)
    assert not (shared / "failed").exists(), report.read_text()
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the folder on this machine."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Visit:
    """A page of the browser that reaches the site alone; what else it asks for is an error."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page, self.address = self.context.new_page(), address
        self.errors: list[str] = []
        self.bytes = 0
        self.context.route("**/*", self._route)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._logged)
        self.page.on("response", self._arrived)

    def _route(self, route: Any) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:", "about:")):
            route.continue_()
        else:
            self.errors.append(f"outside: {route.request.url}")
            route.abort()

    def _logged(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _arrived(self, response: Any) -> None:
        self.bytes += int(response.headers.get("content-length", 0))

    def go(self, path: str) -> Any:
        """The page, after it has loaded."""
        self.page.goto(self.address + path)
        return self.page
