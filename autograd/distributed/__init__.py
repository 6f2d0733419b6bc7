"""Mean gradients over the rows of files; any number of processes computes the same bits."""

from autograd.extras import remedy

try:
    import numpy  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        f"nn.distributed needs NumPy: {remedy('distributed', 'numpy')}"
    ) from None
