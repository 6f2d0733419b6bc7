"""Mean gradients over the rows of large files, and training on a cluster."""

import os
from collections.abc import Sequence
from typing import Unpack

from autograd.distributed.client import Client, connect
from autograd.distributed.driver import Rows, mean_gradient
from autograd.distributed.fingerprint import MismatchError
from nn.module import Module
from nn.training import fitting
from nn.training.history import History
from nn.training.recipe import Files, StrPath

__all__ = ["MismatchError", "Rows", "connect", "fit", "mean_gradient"]


def fit(
    model: Module,
    paths: Sequence[StrPath],
    *,
    client: Client = None,
    chunk: int | None = None,
    **options: Unpack[fitting.Options],
) -> History:
    """The History of training on two .npy files, one of inputs and one of targets.

    The arguments are those of `nn.fit`; `client` and `chunk` are those of `Rows`.  A batch is a
    range of neighbouring rows, and the seed shuffles only the order of the batches, so shuffle the
    rows when you write the files.  `validation` is data in memory, not a share of the files, and
    the metrics are computed from it.  The loss must be the mean of its samples' losses, as for
    `nn.fit(..., compiled=True)`.

    Raises TrainingError, with the row, if a loss or a gradient is inf or nan; the model then has
    its numbers from before that step.

    >>> import tempfile
    >>> import numpy as np
    >>> from nn import MLP, mse
    >>> from nn.optim import SGD
    >>> line = MLP([1, 1], None, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x, y = f"{folder}/x.npy", f"{folder}/y.npy"
    ...     np.save(x, np.array([[0.0], [1.0], [2.0]]))
    ...     np.save(y, np.array([[1.0], [3.0], [5.0]]))
    ...     history = fit(line, [x, y], loss=mse, optimizer=SGD(line, lr=0.2), epochs=200)
    >>> [round(p.data, 3) for p in line.parameters()]
    [2.0, 1.0]
    """
    if isinstance(paths, str | os.PathLike) or len(paths) != 2:
        raise ValueError("fit: expected two files, [inputs, targets]")
    return fitting.fit(model, Files(paths, client, chunk), **options)
