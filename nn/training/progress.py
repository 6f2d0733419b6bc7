"""A progress bar."""

import contextlib
import sys
from typing import Any

from autograd.atomic import context


@context
def bar(count: int, wanted: bool | None, unit: str = "epoch") -> Any:
    """A function that advances a progress bar by one, or does nothing."""
    shown: Any = None

    def advance(note: str) -> None:
        if shown is not None:
            shown.set_postfix_str(note)
            shown.update()

    try:
        if sys.stderr.isatty() if wanted is None else wanted:
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                shown = tqdm(total=count, desc="training", unit=unit)
        yield advance
    finally:
        if shown is not None:
            shown.close()
