"""The notebooks of docs/, executed in a new kernel: ``python -m tests.notebooks [NAME ...]``.

It writes their outputs again, without times and paths of this machine, and notes of which code they
are: a cell that is changed later is found by tests/test_notebooks.py.
"""

import copy
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NAMES = ("tutorial", "research")
# A path from the root of a disk: not "1-shot / 5-shot", nor "</td>", nor the address of a host.
ABSOLUTE = re.compile(r"(?:^|[\s'\"(=:,])(/[\w.-]+/[^\s'\"]*)", re.MULTILINE)
PICTURES = ("image/png", "image/jpeg")


def place(name: str) -> Path:
    """Return the path of the notebook called ``name``."""
    return ROOT / "docs" / f"{name}.ipynb"


def read(name: str) -> Any:
    """Read a notebook as it is committed."""
    import nbformat

    return nbformat.read(place(name), as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook: Any) -> str:
    """Return a sha256 of the code of all cells, in their order."""
    sources = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(sources.encode()).hexdigest()


def executed(notebook: Any, folder: Path, *, env: Mapping[str, str] | None = None) -> Any:
    """Return a copy with the outputs of its code, run in the empty ``folder``.

    env: more variables for the kernel.

    Raises `nbclient.exceptions.CellExecutionError` where a cell raises, or a command of ``%%bash``
    fails.
    """
    from nbclient import NotebookClient

    fresh = copy.deepcopy(notebook)
    for cell in code_cells(fresh):
        cell.outputs, cell.execution_count = [], None
    own = {
        "IPYTHONDIR": folder / "ipython",
        "PYTHONPATH": ROOT,
        "TASD_HOME": folder,
        "TMPDIR": folder,
        "XDG_CACHE_HOME": folder / "cache",
    }
    client = NotebookClient(
        fresh,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **{k: str(v) for k, v in own.items()}, **(env or {})})
    for cell in code_cells(fresh):
        for output in cell.outputs:
            _scrub(output, folder)
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "tasd": {"outputs_of": digest(fresh)},
    }
    return fresh


def texts(output: Any) -> dict[str, str]:
    """Return the text of an output, by its kind; pictures are left out."""
    if output.output_type == "stream":
        return {output.name: output.text}
    if output.output_type == "error":
        return {"error": "\n".join(output.traceback)}
    return {kind: text for kind, text in output.data.items() if kind.startswith("text/")}


def shown(cell: Any) -> list[list[str]]:
    """Return the kinds of tables and pictures that a cell shows; printed text may differ."""
    return [sorted(output.data) for output in cell.outputs if "data" in output]


def pictures(cell: Any) -> int:
    """Return the number of pictures that a cell shows."""
    return sum(kind in PICTURES for kinds in shown(cell) for kind in kinds)


def _scrub(output: Any, folder: Path) -> None:
    """Write paths below the notebook's folder relative to it."""
    below = re.compile(rf"{re.escape(str(folder))}/tasd-[\w-]+/?")
    if output.output_type == "stream":
        output.text = below.sub("", output.text)
        return
    for kind, text in texts(output).items():
        output.data[kind] = below.sub("", text)


def main(names: list[str]) -> None:
    """Execute these notebooks, or all, and write them."""
    import nbformat

    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            fresh = executed(read(name), Path(folder).resolve())
        nbformat.write(fresh, place(name))
        print(f"{place(name).relative_to(ROOT)}: {place(name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
