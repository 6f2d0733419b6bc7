"""Mean gradients over the rows of files, on many processes to the same bits."""

try:
    import numpy  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "nn.distributed needs NumPy: pip install 'chainrule[distributed]'"
    ) from None
