"""Writes the guides, the notebooks and the reference, which need no network.

`python docs/make.py FOLDER [PART ...]`: the pages link to those parts of the site, which are `site`
and `playground`.
"""

import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent


def make(folder: Path, *parts: str) -> int:
    """The exit status of Sphinx, which writes the pages into a folder; a warning is an error."""
    with tempfile.TemporaryDirectory() as doctrees:
        options = ["-q", "-W", "--keep-going", "-b", "html", "-d", doctrees, "-c", str(HERE)]
        links = [option for part in parts for option in ("-A", f"{part}=1")]
        status: int = build_main([*options, *links, str(HERE.parent), str(folder)])
    return status


if __name__ == "__main__":
    sys.exit(make(Path(sys.argv[1]), *sys.argv[2:]))
