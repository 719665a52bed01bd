"""The picture of docs/architecture.md, drawn from the imports of the code.

``python -m tests.draw_architecture`` writes docs/architecture.svg. The rows are the layers of
pyproject.toml; an arrow stands for an import between packages that no chain of other arrows
already implies.
"""

import ast
import tomllib
from collections import defaultdict
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PREP_ROW = "model"  # prep is beside tasd: it is drawn in this row
LEFT_OUT = {"__main__", "errors", "foreign", "device", "registry", "files", "home", "progress"}
BOX, HEIGHT, ROW, COLUMN, WIDTH = 118, 32, 62, 172, 860
# The column of each package; others are placed in the middle.
COLUMNS = {
    "app": 3,
    "demo": 3,
    "reproduce": 1,
    "bench": 4,
    "predict": 3,
    "runs": 1,
    "loader": 3,
    "model": 1,
    "prep": 4,
    "backbones": 0,
    "matchers": 1,
    "features": 3,
    "recipes": 0,
    "episodes": 2,
    "store": 3,
    "config": 1,
    "datasets": 3,
}

# Each package in the words of docs/architecture.md.
NOTES = {
    "cli": "the commands",
    "app": "the page",
    "demo": "the whole way",
    "bench": "this machine",
    "reproduce": "the paper's tables",
    "predict": "own clips",
    "report": "tables, figures",
    "training": "the loop",
    "evaluation": "accuracy",
    "extraction": "features once",
    "runs": "run folder",
    "loader": "pixels",
    "model": "the network",
    "backbones": "A and F",
    "matchers": "comparing",
    "losses": "Eqs 2-11",
    "features": "feature files",
    "types": "what travels",
    "recipes": "starting points",
    "episodes": "which videos",
    "store": "frames on disk",
    "config": "every setting",
    "datasets": "classes, layouts",
    "prep": "videos -> store",
}


def layers() -> list[list[str]]:
    """Read the layers of import-linter's contract, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (c for c in settings["tool"]["importlinter"]["contracts"] if "layers" in c)
    rows = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    return [kept for row in rows if (kept := [name for name in row if name not in LEFT_OUT])]


def imports() -> dict[str, set[str]]:
    """Read which package imports which: the top-level names below tasd, and prep."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted([*(ROOT / "tasd").rglob("*.py"), *(ROOT / "prep").rglob("*.py")]):
        package = _package(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found[package] |= {_package(name) for name in names}
    known = {name for row in layers() for name in row} | {"prep"}
    return {
        package: (names & known) - {package} for package, names in found.items() if package in known
    }


def _package(module: str) -> str:
    """``tasd.store.reader`` -> store, ``prep.shard`` -> prep, anything else -> an empty name."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "tasd" else "prep" * (top == "prep")


def reduced(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Drop every import that a chain of other imports implies."""

    def reach(start: str, seen: set[str]) -> set[str]:
        for name in graph.get(start, ()):
            if name not in seen:
                seen.add(name)
                reach(name, seen)
        return seen

    kept = []
    for package in sorted(graph):
        for name in sorted(graph[package]):
            others = graph[package] - {name}
            if not any(name in reach(other, set()) for other in others):
                kept.append((package, name))
    return kept


def drawing() -> str:
    """Return the picture as SVG."""
    rows = [list(row) for row in layers()]
    for row in rows:
        if PREP_ROW in row:
            row.append("prep")
    place = {}
    for number, row in enumerate(rows):
        for name in row:
            place[name] = (COLUMN * (COLUMNS.get(name, 2) + 0.5), 24 + ROW * number)
    height = 24 + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13">',
        "<title>Packages of tasd in their order, and who imports whom</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">',
        '<path d="M0,0 L8,4 L0,8 z" fill="#7a869a"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for start, end in reduced(imports()):
        (x, y), (u, v) = place[start], place[end]
        y, v = y + HEIGHT / 2, v - HEIGHT / 2 - 2
        bend = min(60.0, (v - y) / 2)
        parts.append(
            f'<path d="M{x:.0f},{y:.0f} C{x:.0f},{y + bend:.0f} {u:.0f},{v - bend:.0f} '
            f'{u:.0f},{v:.0f}" fill="none" stroke="#7a869a" stroke-width="1.1" '
            'marker-end="url(#tip)"/>'
        )
    for name, (x, y) in place.items():
        colour = "#fff1d6" if name == "prep" else "#e8f0fe"
        parts.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" '
            f'height="{HEIGHT}" rx="5" fill="{colour}" stroke="#4a5568"/>'
            f'<text x="{x:.0f}" y="{y - 1:.0f}" text-anchor="middle" fill="#1a202c">'
            f"{escape(name)}</text>"
            f'<text x="{x:.0f}" y="{y + 11:.0f}" text-anchor="middle" font-size="10" '
            f'fill="#4a5568">{escape(NOTES[name])}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
