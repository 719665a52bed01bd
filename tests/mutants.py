"""Mutations of the code by a seeded draw: one small change in one module each."""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}


@dataclass(frozen=True)
class Mutant:
    """A change: in ``module``, the text from ``start`` to ``end`` (line, byte) is ``after``."""

    module: str
    kind: str
    start: tuple[int, int]
    end: tuple[int, int]
    before: str
    after: str

    def applied(self, source: str) -> str:
        """Return the module's text with the change."""
        lines = source.encode().splitlines(keepends=True)
        (first, left), (last, right) = self.start, self.end
        head, tail = lines[first - 1][:left], lines[last - 1][right:]
        parts = [*lines[: first - 1], head, self.after.encode(), tail, *lines[last:]]
        return b"".join(parts).decode()


def draw(root: Path, *, count: int, seed: int) -> list[Mutant]:
    """Draw mutants: the modules in a random order, one of each, then again."""
    chance = random.Random(seed)
    left = {}
    for path in sorted([*root.glob("tasd/**/*.py"), *root.glob("prep/**/*.py")]):
        name = path.relative_to(root).as_posix()
        found = list(mutants(name, path.read_text(encoding="utf-8")))
        if found:
            left[name] = chance.sample(found, len(found))
    drawn: list[Mutant] = []
    order = chance.sample(list(left), len(left))
    while len(drawn) < count:
        drawn += [left[name].pop() for name in order if left[name]]
    return drawn[:count]


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Find every mutant of a module; annotations, decorators and texts are left alone."""
    lines = source.encode().splitlines(keepends=True)
    for node in _code(ast.parse(source)):
        for kind, changed in _changes(node):
            after = changed if isinstance(changed, str) else f"({ast.unparse(changed)})"
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
            # ast.get_source_segment splits the whole module for each node
            text = b"".join(lines[start[0] - 1 : end[0]])
            before = text[start[1] : len(text) - (len(lines[end[0] - 1]) - end[1])].decode()
            yield Mutant(module, kind, start, end, before, after)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.JoinedStr | ast.Subscript) and _is_type(child):
                continue
            if isinstance(child, ast.AST):
                yield child
                yield from _code(child)


def _is_type(node: ast.AST) -> bool:
    """True for texts, and for names of types such as ``Literal["a"]``."""
    if isinstance(node, ast.JoinedStr):
        return True
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) in (
        "Literal",
        "Annotated",
        "Float",
        "Callable",
    )


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST | str]]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[index] = COMPARISONS[type(operator)]()
            yield "comparison", changed
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _texts(node):
        yield "arithmetic", ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "negation", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "constant", repr(node.value + 1)
    elif _is_dropped(node):
        yield "dropped", "pass"


def _is_dropped(node: ast.AST) -> bool:
    """True for a statement without which the rest of the code still compiles."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, ast.Return | ast.Raise | ast.AugAssign | ast.Continue | ast.Break)


def _texts(node: ast.BinOp) -> bool:
    """True where a text takes part: a path or a format, not a sum."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant | ast.JoinedStr)]
    return any(isinstance(p, ast.JoinedStr) or isinstance(p.value, str | bytes) for p in parts)
