"""The notebooks of docs/: they run, and what they show is of their code and of no machine."""

import pytest

from tests import forks, notebooks
from tests.notebooks import ABSOLUTE, NAMES, ROOT

pytest.importorskip("nbclient", reason="the extra notebooks is not installed")
pytest.importorskip("pandas", reason="the extra notebooks is not installed")

FEWEST_PICTURES = 4
MOST_BYTES = 400_000


@pytest.fixture(params=NAMES)
def committed(request):
    return notebooks.read(request.param)


def small(*sources: str):
    """A notebook of these cells of code."""
    from nbformat.v4 import new_code_cell, new_notebook

    return new_notebook(cells=[new_code_cell(source) for source in sources])


@pytest.mark.timeout(600)
def test_a_notebook_runs_from_top_to_bottom(committed, tmp_path):
    forked = {"BASH_FUNC_tasd%%": f'() {{ "{forks.FORKED}" -m tasd "$@"; }}'}  # bash's `tasd`
    fresh = notebooks.executed(committed, tmp_path, env=forks.asking() | forked)
    pairs = zip(notebooks.code_cells(committed), notebooks.code_cells(fresh), strict=True)
    for before, after in pairs:
        assert notebooks.shown(before) == notebooks.shown(after), after.source


@pytest.mark.parametrize(
    "source", ["raise ValueError('no')", "%%bash\ntasd show nothing", "%%bash\nexit 1"]
)
def test_a_cell_that_fails_is_told(source, tmp_path):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError):
        notebooks.executed(small("1 + 1", source), tmp_path)


def test_paths_of_the_machine_are_taken_out(tmp_path):
    start = "import os, tempfile\nos.chdir(tempfile.mkdtemp(prefix='tasd-small-'))"
    where = "import os\nprint('store:', os.path.abspath('stores/folder'))"
    (_, cell) = notebooks.code_cells(notebooks.executed(small(start, where), tmp_path))
    assert cell.outputs[0].text == "store: stores/folder\n"


def test_outputs_are_of_the_code_beside_them(committed):
    """`python -m tests.notebooks` writes them again."""
    cells = notebooks.code_cells(committed)
    assert committed.metadata.tasd.outputs_of == notebooks.digest(committed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    cells[0].source += "\n# changed"
    assert committed.metadata.tasd.outputs_of != notebooks.digest(committed)


def test_outputs_have_pictures_and_tables(committed):
    cells = notebooks.code_cells(committed)
    assert sum(map(notebooks.pictures, cells)) >= FEWEST_PICTURES
    assert any("text/html" in kinds for cell in cells for kinds in notebooks.shown(cell))
    for cell in cells:
        assert not notebooks.pictures(cell) or cell.metadata.get("alt"), cell.source


def test_outputs_hold_no_path_of_a_machine_and_no_error(committed):
    for cell in notebooks.code_cells(committed):
        assert "execution" not in cell.metadata
        for output in cell.outputs:
            assert output.output_type != "error"
            for text in notebooks.texts(output).values():
                assert not ABSOLUTE.findall(text)
                assert "Traceback" not in text
                assert "\x1b" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_a_small_file(name):
    assert notebooks.place(name).stat().st_size < MOST_BYTES


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("store: /home/me/stores/folder", ["/home/me/stores/folder"]),
        ("PosixPath('/tmp/x/y.mp4')", ["/tmp/x/y.mp4"]),
        ("5-way 1-shot / 5-shot: 72.3 / 84.5", []),
        ("<td>a</td> runs/a/b.json", []),
        ("https://example.org/a/b", []),
    ],
)
def test_a_path_from_the_root_is_told_from_other_strokes(text, found):
    assert ABSOLUTE.findall(text) == found


def test_every_notebook_is_looked_at():
    assert {path.stem for path in (ROOT / "docs").glob("*.ipynb")} == set(NAMES)
