"""One table over data sets and shots: published numbers, marks, and rows that are under way."""

import json
import re
from pathlib import Path

import pytest

from tasd.errors import UserError
from tasd.report.latex import latex
from tasd.report.tables import Table, markdown
from tasd.reproduce.columns import columns_table, curves_figure
from tasd.reproduce.rows import Row
from tasd.reproduce.study import Study
from tests.cli.test_predict import run_tasd
from tests.report.written import config_of, write_run
from tests.runs import DISTILL, SMALL
from tests.stores import write_store


def test_marked_cells_are_bold_and_underlined_and_their_text_is_escaped():
    marks = {(0, 1): "best", (1, 1): "second"}
    table = Table("t", "a_b", ("method", "x"), (("a*_", "70.1 ±0.2"), ("b", "69 %"), ("c", "1")),
                  3, marks)  # fmt: skip
    assert markdown(table).splitlines()[4:] == [
        "| a\\*_ | **70.1 ±0.2** |",
        "| b | <u>69 %</u> |",
        "| c | 1 |",
    ]
    made = latex(table)
    assert r"a*\_ & \textbf{70.1 $\pm$0.2} \\" in made
    assert r"b & \underline{69 \%} \\" in made


class FakeStore:
    """The name of a data set, as a study reads it from its store."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset


def study(folder: Path, dataset: str, **accuracy: float | None) -> Study:
    """A study whose rows were tested, or have a log alone where their skill is None."""
    rows = []
    for name, skill in accuracy.items():
        config = config_of("baseline", dataset, matcher__name=name)
        rows.append(Row(name, config))
        write_run(folder / f"{name}-seed0", config=config, tested=skill is not None,
                  skill=skill or 0.0)  # fmt: skip
    made = Study.__new__(Study)
    for key, value in {
        "table": "table1", "rows": rows, "store": FakeStore(dataset), "folder": folder, "seeds": 1,
        "count": 400, "queries": 2, "curve": False, "device": "cpu", "scheduler": None,
    }.items():  # fmt: skip
        object.__setattr__(made, key, value)
    return made


@pytest.fixture
def known(monkeypatch):
    """Runs as they are written without training: the state follows from the result alone."""
    from tasd.reproduce import columns
    from tasd.reproduce import study as module
    from tasd.reproduce.runs import Progress

    def result_of(run, request):
        found = list(run.evaluation.glob("test-*.json"))
        return json.loads(found[0].read_text()) if found else None

    def progress_of(plan, request):
        done = result_of(plan.run, request) is not None
        return Progress("done", 30_000) if done else Progress("begun", 7_500)

    monkeypatch.setattr(module, "result_of", result_of)
    for place in (module, columns):
        monkeypatch.setattr(place, "progress_of", progress_of)


def test_the_table_has_all_columns_and_says_how_far_the_others_are(tmp_path, known):
    studies = [
        study(tmp_path / "k", "kinetics", otam=2.0, trx=0.5, bimhm=1.2),
        study(tmp_path / "u", "ucf101", otam=1.0, trx=None),
    ]
    table = columns_table(studies)
    assert table.header == ("method", "Kinetics-100 1-shot", "UCF101 1-shot")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["OTAM (Cao et al. 2020)"] == ("72.2", "79.9")
    assert rows["TRX, ours"][1] == "- (25%)"
    assert rows["BiMHM, ours"][1] == "-"
    names = [row[0] for row in table.rows]
    ours = {name: names.index(f"{name}, ours") for name in ("OTAM", "TRX", "BiMHM")}
    assert table.marks[ours["OTAM"], 1] == "best"
    assert table.marks[ours["BiMHM"], 1] == "second"
    assert (ours["TRX"], 1) not in table.marks
    assert table.marks[names.index("TASD (Zhang et al. 2024)"), 1] == "second"
    assert table.marks[names.index("MPL (CVPR 2026, transductive)"), 1] == "best"
    figure = curves_figure(studies)
    assert len([axes for axes in figure.axes if axes.lines]) == 2
    assert [len(axes.lines) for axes in figure.axes] == [3, 2]


def test_the_command_makes_one_table_of_two_shots(tmp_path, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    write_store(tmp_path / "stores" / "folder", videos=3, frames=4, side=40)
    sets = [word for text in [*SMALL, *DISTILL] for word in ("--set", text)]
    own = ("reproduce", "table1", "--datasets", "folder", "--shots", "1,2", "--only", "bimhm")
    few = ("--recipe", "tasd", "--episodes", 2, "--test-episodes", 20, "--device", "cpu")
    words = (*own, *few, *sets)
    before = run_tasd(*words, "--so-far")
    assert re.search(r"BiMHM, ours +- \(0%\) +- \(0%\)", before.output)
    done = run_tasd(*words)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "runs" / "columns-table1"
    found = json.loads((folder / "columns.json").read_text())
    assert found["header"] == ["method", "folder 1-shot", "folder 2-shot"]
    assert all("±" in cell for cell in found["rows"][0][1:])
    assert found["marks"] == [[0, 1, "best"], [0, 2, "best"]]
    assert {path.name for path in folder.iterdir()} >= {"columns.md", "columns.tex", "curves.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--datasets", "ucf101"),
            "there is no store in .*ucf101; prepare it with tasd prep ucf101",
        ),
        (("--datasets", "ucf"), "no data set is called 'ucf'.*did you mean 'ucf101'"),
        (
            ("--datasets", "ssv2,ucf", "--shots", "x"),
            "(?s)tasd prep ssv2.*'ucf'.*--shots 'x' is not",
        ),
        (("--datasets", ","), "--datasets ',' names none"),
        (("--shots", "1,5"), "--shots needs --datasets"),
        (("--datasets", "a", "--store", "b"), "--datasets and --store exclude each other"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path, monkeypatch, words, said):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    with pytest.raises(UserError, match=said):
        raise run_tasd("reproduce", "table1", *words).exception
