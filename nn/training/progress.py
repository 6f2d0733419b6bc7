"""A progress bar."""

import contextlib
import sys
from typing import Any

from autograd.atomic import context


@context
def bar(count: int, show: bool | None, unit: str = "epoch") -> Any:
    """A function that advances a progress bar by one, or does nothing."""
    progress: Any = None

    def advance(note: str) -> None:
        if progress is not None:
            progress.set_postfix_str(note)
            progress.update()

    try:
        if sys.stderr.isatty() if show is None else show:
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                progress = tqdm(total=count, desc="training", unit=unit)
        yield advance
    finally:
        if progress is not None:
            progress.close()
