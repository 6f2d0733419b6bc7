"""Refusals of a bridge: what it does not cover, and graphs that would be too large."""

LIMIT = 200_000  # Values; a second or two, and 100 MB


class UncoveredError(ValueError):
    """A part of a model that a bridge does not cover; the text names it and the user's line."""


def refuse_large(name: str, count: int, limit: int) -> None:
    """Raise ValueError if the graph would have more Values than the limit.

    >>> refuse_large("from_torch", 5_000_000, LIMIT)
    Traceback (most recent call last):
    ValueError: from_torch: the graph would have about 5,000,000 Values; the limit is 200,000 ...
    """
    if count > limit:
        raise ValueError(
            f"{name}: the graph would have about {count:,} Values; the limit is {limit:,} (give a "
            f"smaller model or a smaller input, or limit={count:,} and more time)"
        )
