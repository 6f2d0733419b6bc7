"""PyTorch, or advice on how to install it."""

try:
    import torch as torch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"autograd.bridges.torch needs PyTorch: pip install 'chainrule[torch]' ({error})",
        name=error.name,
    ) from None
