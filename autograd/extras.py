"""How to get a package that is missing, here or in a browser."""

import sys


def remedy(extra: str, package: str = "") -> str:
    """The end of a message about a missing package: the command that gets it.

    Nobody can run pip in a browser: Pyodide loads packages there, and some exist nowhere for it.

    Args:
        extra: the extra of this distribution that installs the package.
        package: its name for Pyodide; "" if there is none.

    >>> remedy("plot", "matplotlib")
    "pip install 'chainrule[plot]'"
    """
    if sys.platform != "emscripten":
        return f"pip install 'chainrule[{extra}]'"
    if not package:
        return "it is not available in a browser"
    return f"in a browser, import micropip; await micropip.install({package!r})"
