"""Fenced blocks for Markdown, as in MkDocs, that draw an expression or step through it.

In `mkdocs.yml`:

    markdown_extensions:
      - pymdownx.superfences:
          custom_fences:
            - name: backprop
              class: backprop
              format: !!python/name:autograd.bridges.markdown.backprop
            - name: gradients
              class: gradients
              format: !!python/name:autograd.bridges.markdown.gradients

and in a page, with numbers for the names at the end:

    ```backprop
    tanh(w*x + b)
    w=2 x=-1 b=0.5
    ```
"""

from typing import Any

from autograd.bridges.blocks import drawn, played


def backprop(source: str, *_: Any, **__: Any) -> str:
    """The HTML of a backward pass to step through; pymdownx.superfences calls it with the block.

    >>> backprop("w*x  w=2")[:28], backprop("w*x  w=2 x=1")[:4]
    ('<pre class="chainrule-error"', '<div')
    """
    return played(source)


def gradients(source: str, *_: Any, **__: Any) -> str:
    """The HTML of a picture with gradients.

    >>> gradients("w*x  w=2 x=3")[:22]
    '<img class="chainrule"'
    """
    return drawn(source)
