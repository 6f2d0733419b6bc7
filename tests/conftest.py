"""Every test starts from the table of operations as it ships."""

from collections.abc import Iterator

import pytest

import autograd
from autograd import Value, rows
from autograd.ops import Ops

SHIPPED = frozenset(rows())


def _forget() -> None:
    for name in set(rows()) - SHIPPED:
        delattr(Ops, name)
        delattr(Value, name)
        vars(autograd).pop(name, None)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """The operations that a test, or an example that ran before it, has defined are forgotten."""
    _forget()
    yield
    _forget()
