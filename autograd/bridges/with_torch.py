"""PyTorch, or advice on how to install it."""

try:
    import torch as torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "autograd.bridges.torch needs PyTorch: pip install 'chainrule[torch]'", name="torch"
    ) from None
