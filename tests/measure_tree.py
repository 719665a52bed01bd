"""Figures of the tree: ``python -m tests.measure_tree [FOLDER]`` prints them for tasd and prep."""

import ast
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def spread(values: Sequence[int]) -> str:
    """Median, 90th percentile and maximum."""
    ordered = sorted(values)
    ninety = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return f"median {statistics.median(ordered):.0f}, p90 {ninety}, max {ordered[-1]}"


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of the module and methods of its public classes that have no leading underscore."""
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) and node.name[0] != "_" else [node]
        for each in inside:
            if isinstance(each, FUNCTION) and each.name[0] != "_":
                yield each


def main() -> None:
    """Print the figures."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    paths = [path for top in ("tasd", "prep") for path in sorted((root / top).rglob("*.py"))]
    texts = {path: path.read_text("utf-8") for path in paths}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = [len(text.splitlines()) for text in texts.values()]
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    lengths = [
        len({n.lineno for n in ast.walk(node) if isinstance(n, ast.stmt)})
        for node in nodes
        if isinstance(node, FUNCTION)
    ]
    spans = [n.end_lineno - n.lineno + 1 for n in nodes if isinstance(n, FUNCTION) and n.end_lineno]
    functions = [function for tree in trees.values() for function in public(tree)]
    documented = sum(ast.get_docstring(function) is not None for function in functions)
    typed = sum(function.returns is not None for function in functions)
    begins = ("What", "Whether", "How", "Which", "Where", "Who", "Why", "When")
    kinds = (ast.Module, ast.ClassDef, *FUNCTION)
    docs = [text for n in nodes if isinstance(n, kinds) and (text := ast.get_docstring(n))]
    questions = sum(text.split(maxsplit=1)[0] in begins for text in docs)
    top = list((root / "tasd").glob("*.py")), list((root / "tasd").glob("*/__init__.py"))
    print(f"tasd/ lists {len(top[0])} Python files and {len(top[1])} packages")
    print(f"{len(paths)} files, {sum(lines):,} lines; lines of a file: {spread(lines)}")
    print(
        f"{len(spans)} functions; lines: {spread(spans)}; lines with a statement: {spread(lengths)}"
    )
    print(f"{len(functions)} public: {documented} with a docstring, {typed} with a return type")
    print(f"{len(docs)} docstrings, {questions} begin with a question word")


if __name__ == "__main__":
    main()
