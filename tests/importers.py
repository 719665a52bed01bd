"""The test files that reach a module, by what they import: a map that no test has to be run for."""

import ast
import functools
from pathlib import Path

MOST_NEAR, MOST_FAR = 6, 25  # files


def importers(tree: Path, module: str, name: str = "") -> tuple[list[str], list[str]]:
    """Return the test files that import a module, and those that reach it by one module between.

    module: such as ``tasd/losses/distill.py``. name: of the function that is looked for; files in
    which it stands come first, then those of the folder that mirrors the package. Tests of the
    same folder are among the second.
    """
    folders = tuple(f"tests/{part}/" for part in Path(module).parts[:-1] if part != "tasd")
    folders = folders or ("tests/test_",)
    files = {
        path.relative_to(tree).as_posix(): path for path in (tree / "tests").rglob("test_*.py")
    }
    reach = {file: _imports(path) for file, path in files.items()}
    own = _dotted(module)
    users = {_dotted(p.relative_to(tree).as_posix()) for p in _code(tree) if own in _imports(p)}

    def order(found: set[str]) -> list[str]:
        def key(file: str) -> tuple[bool, bool, str]:
            named = bool(name) and name in files[file].read_text(encoding="utf-8")
            return not named, not file.startswith(folders), file

        return sorted(found, key=key)

    direct = {file for file, names in reach.items() if own in names}
    further = {file for file, names in reach.items() if names & users or file.startswith(folders)}
    near = order(direct or further)
    far = [file for file in order(direct | further) if file not in near[:MOST_NEAR]]
    return near[:MOST_NEAR], far[:MOST_FAR]


@functools.lru_cache(maxsize=1)
def _code(tree: Path) -> list[Path]:
    return [*tree.glob("tasd/**/*.py"), *tree.glob("prep/**/*.py")]


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, and all names that it imports from them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def enclosing(source: str, line: int) -> str:
    """Return the name of the innermost function or class around a line; empty at the top."""
    found, start = "", 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = node.lineno <= line <= (node.end_lineno or 0)
            if inside and node.lineno > start and not node.name.startswith("__"):
                found, start = node.name, node.lineno
    return found
