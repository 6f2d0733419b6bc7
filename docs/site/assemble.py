"""Writes the site: `python docs/site/assemble.py FOLDER [--npm FOLDER] [--pyodide FOLDER]`.

The start page and the guides need Python's packages alone.  The playground needs packages of npm;
where they cannot be had, it is left out, and the last lines say so.  A notebook that runs in the
browser gets NumPy and matplotlib from Pyodide's usual host, or from the distribution that is given,
which must have the version in package.json.
"""

import argparse
import shutil
import sys
from pathlib import Path

import archive
import distribution
import npm
import start_page

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import make  # noqa: E402 - the guides' own file, in the folder above

MARK = "site.txt"  # in every site, so that no other folder is ever emptied


def playground(site: Path, modules: Path, pyodide: Path | None) -> None:
    """Write the playground, its Python, and what it has from npm."""
    target = site / "playground"
    shutil.copytree(
        HERE / "playground", target, ignore=shutil.ignore_patterns("lab", "__pycache__")
    )
    archive.write(target / "engine.zip")
    distribution.write(site / "pyodide", modules / "pyodide", pyodide)
    graphviz = modules / "@hpcc-js" / "wasm-graphviz" / "dist" / "index.js"
    shutil.copy(graphviz, target / "graphviz.js")


def emptied(site: Path) -> None:
    """Make the folder, or empty it if it holds a site; anything else in it is refused."""
    if site.exists() and any(site.iterdir()):
        if not (site / MARK).exists():
            sys.exit(f"{site} holds something else than a site; choose another folder")
        shutil.rmtree(site)
    site.mkdir(parents=True, exist_ok=True)
    (site / MARK).write_text("This folder is written by docs/site/assemble.py.\n")


def assemble(site: Path, store: Path, pyodide: Path | None) -> list[str]:
    """What had to be left out; the site in the folder is new."""
    emptied(site)
    left_out: list[str] = []
    try:
        modules = npm.modules(store)
    except npm.MissingError as missing:
        left_out.append(f"the playground: {missing}")
    if make.make(site, "site", *["playground"] * (not left_out)):
        sys.exit("the guides could not be written")
    start_page.write(site, playground=not left_out)
    if not left_out:
        playground(site, modules, pyodide)
    for name in ("site.css", "theme.js", "player.js", "favicon.svg"):
        shutil.copy(HERE / "static" / name, site)
    return left_out


def size(folder: Path) -> float:
    """The size of a folder in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--npm", type=Path, help="where npm's packages are, or are installed")
    parser.add_argument("--pyodide", type=Path, help="an unpacked distribution of Pyodide")
    options = parser.parse_args()
    site = options.folder.resolve()
    left_out = assemble(site, (options.npm or site.parent / "npm").resolve(), options.pyodide)
    for part in sorted(path for path in site.iterdir() if path.is_dir()):
        print(f"{part.name:12} {size(part):6.1f} MB")
    print(f"{'in all':12} {size(site):6.1f} MB in {site}")
    for line in left_out:
        print(f"left out: {line}")


if __name__ == "__main__":
    main()
