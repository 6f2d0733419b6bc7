"""JAX, or advice on how to install it."""

try:
    import jax as jax
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "autograd.bridges.jax needs JAX: pip install 'chainrule[jax]'", name="jax"
    ) from error
