"""Mean gradients over the rows of files; any number of processes computes the same bits."""

try:
    import numpy  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "nn.distributed needs NumPy: pip install 'chainrule[distributed]'"
    ) from None
