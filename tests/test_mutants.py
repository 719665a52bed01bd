"""The tools of the campaign of mutations choose tests and draw changes as they say."""

import ast
from pathlib import Path

from tests.importers import enclosing, importers
from tests.mutants import Mutant, draw, mutants

ROOT = Path(__file__).resolve().parents[1]


def test_files_that_import_a_module_come_first(tmp_path):
    files = {
        "tasd/features/sink.py": "",
        "tasd/features/writer.py": "from tasd.features.sink import Sink",
        "prep/archives/crew.py": "",
        "tests/features/test_sink.py": "from tasd.features.sink import Sink\nSink.check",
        "tests/cli/test_one.py": "from tasd.features import sink",
        "tests/features/test_writer.py": "from tasd.features.writer import write",
        "tests/features/test_other.py": "",
        "tests/loader/test_loader.py": "",
        "tests/prep/test_prep.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    near, far = importers(tmp_path, "tasd/features/sink.py", "check")
    assert near == ["tests/features/test_sink.py", "tests/cli/test_one.py"]
    assert far == ["tests/features/test_other.py", "tests/features/test_writer.py"]
    assert importers(tmp_path, "prep/archives/crew.py")[0] == ["tests/prep/test_prep.py"]


def test_the_innermost_name_around_a_line_is_found():
    source = "class A:\n    def b(self):\n        return 1\n\nc = 2\n"
    assert [enclosing(source, line) for line in (1, 3, 5)] == ["A", "b", ""]


def test_a_mutant_changes_one_place_and_still_compiles(tmp_path):
    (tmp_path / "tasd").mkdir()
    for name in ("features/sink.py", "losses/distill.py"):
        (tmp_path / "tasd" / name.replace("/", "_")).write_text((ROOT / "tasd" / name).read_text())
    drawn = draw(tmp_path, count=30, seed=16)
    assert drawn == draw(tmp_path, count=30, seed=16)
    for mutant in drawn:
        source = (tmp_path / mutant.module).read_text()
        changed = mutant.applied(source)
        compile(changed, mutant.module, "exec")
        assert changed != source
        first, last = mutant.start[0] - 1, mutant.end[0]
        assert mutant.before == ast.get_source_segment(source, _node(source, mutant)), mutant
        assert mutant.before in "\n".join(source.splitlines()[first:last])


def _node(source: str, mutant: Mutant) -> ast.AST:
    place = (*mutant.start, *mutant.end)
    return next(
        node
        for node in ast.walk(ast.parse(source))
        if hasattr(node, "lineno")
        and (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) == place
    )


def test_kinds_of_mutants():
    source = "def f(a):\n    g(a)\n    return a < 1 and not a + 2\n"
    kinds = {mutant.kind for mutant in mutants("m.py", source)}
    assert {"comparison", "arithmetic", "boolean", "negation", "constant", "dropped"} <= kinds
