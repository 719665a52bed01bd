"""Names from files, on a screen, in a sheet, in Markdown, in a figure and in a path."""

import csv
import io
import json
import sys

import pytest
from rich.console import Console

from tasd.evaluation.results import write_document
from tasd.foreign import cell, clean, clean_lines, path_part
from tasd.predict.answer import Answer
from tasd.predict.formats import CsvLines
from tasd.progress import ProgressLine
from tasd.report import OverlayOptions, write_report
from tasd.report.latex import latex
from tasd.report.tables import Table, markdown, text
from tasd.runs import metrics
from tasd.runs.folder import Run
from tasd.runs.metrics import metrics_lines
from tests import forks
from tests.report.written import write_run
from tests.runs import environment

EVIL = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202egpj.exe\u2066\r\n\x00\udcff\u2028"


@pytest.mark.parametrize("name", ["run", "grün", "日本語", "a b_c", "👩\u200d🔬", "C:\\x"])
def test_plain_names_stay_as_they_are(name):
    assert clean(name) == name


def test_no_character_moves_the_cursor_or_turns_the_text():
    shown = clean(EVIL)
    assert shown.isprintable()
    assert shown.encode()
    assert "\\x1b[31mred" in shown
    assert clean_lines("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_in_a_sheet_is_text(name):
    assert cell(name).startswith("'")
    assert cell("a=1") == "a=1"


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", "", "x" * 999, EVIL])
def test_a_name_is_one_part_of_a_path(tmp_path, name):
    part = path_part(name)
    assert (tmp_path / part).parent == tmp_path
    assert part not in ("", ".", "..")
    assert len(part.encode()) <= 100
    assert path_part("ucf101") == "ucf101"


def test_answers_in_a_sheet_are_no_formulas(tmp_path):
    answer = Answer(tmp_path / "x", {"=cmd()": 0.5, "b": -0.5})
    rows = list(csv.reader(io.StringIO(CsvLines(["=cmd()", "b"])(answer))))
    assert rows[1][3] == "'=cmd()"
    assert rows[1][rows[0].index("score b")] == "-0.5"  # a number stays one


def test_an_error_and_the_progress_are_clean():
    words = [sys.executable, "-m", "tasd", "show", "\x1b[31mnowhere"]
    said = forks.run(words, env=environment())
    assert said.returncode == 1
    assert "\x1b" not in said.stderr
    assert "\\x1b[31mnowhere" in said.stderr
    console = Console(file=io.StringIO())
    with ProgressLine(console) as line:
        line.say(EVIL)
    assert "\x1b" not in console.file.getvalue()


TABLE = Table("t", "caption", ("a|b", "<script>"), (("![x](http://x)", EVIL), ("`$x_{$`", "*b*")))


def test_tables_hold_no_markup_of_names():
    made = markdown(TABLE)
    assert "<script>" not in made
    assert "&lt;script&gt;" in made
    assert "a\\|b" in made
    assert "\\[x\\](" in made
    assert len(made.splitlines()) == 6
    for shown in (made, text(TABLE), latex(TABLE)):
        assert shown.replace("\n", "").isprintable()


def test_a_report_of_hostile_names_is_drawn(tmp_path):
    folder = write_run(tmp_path / "run $x_{$")
    (path,) = (folder / "evaluation").iterdir()
    content = path.read_text().replace("action a", "$x_{$").replace("action b", "<b>\\u001b[31m")
    path.write_text(content)
    found = json.loads(content)
    found["provenance"]["command"] = ["</pre><script>alert(1)</script>"]
    write_document(path, found)
    write_report([folder], tmp_path / "report", OverlayOptions())
    page = (tmp_path / "report/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\x1b" not in page


def lines_of(count: int) -> list[bytes]:
    terms = {"ce": {"raw": 1.0, "weighted": 0.5}}
    line = {"kind": "train", "loss": 1.0, "accuracy": 0.5, "terms": terms}
    return [json.dumps(line | {"episode": n}).encode() for n in range(1, count + 1)]


DAMAGED = [b"\xff\xfe", b"{", b"[1]", b"null", b"3", b'{"kind": "train"}', b"[" * 100_000,
           b'{"kind": "train", "episode": "x"}', b'{"kind": 1, "episode": 1}',
           b'{"kind": "train", "episode": 5, "loss": 1, "accuracy": 1, "terms": {"ce": 3}}',
           b'{"kind": "gradients", "episode": 5}',
           b'{"kind": "validation", "episode": 5, "student": {"x": 1}}']  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: damage[:40].decode("latin1"))
def test_a_damaged_line_costs_itself_and_is_said_once(tmp_path, capsys, damage):
    run = Run(tmp_path)
    rows = lines_of(9)
    rows[4] = damage
    run.metrics.write_bytes(b"\n".join(rows) + b"\n")
    for _ in range(2):
        assert [line["episode"] for line in run.read_metrics()] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert capsys.readouterr().err.splitlines() == [
        f"{run.metrics}: damaged lines, left out: 1; line 5 is the first"
    ]
    run.rewind_metrics(7)
    assert [line.text.encode() for line in metrics_lines(run.metrics)] == rows[:4] + rows[5:7]


def test_every_bit_of_the_sum_of_the_first_line_counts(tmp_path, capsys):
    rows = [metrics.metrics_text(json.loads(row)).encode() for row in lines_of(3)]
    run, sound = Run(tmp_path), b"\n".join(rows) + b"\n"
    end = sound.index(b"\n")
    for bit in range(8 * (end - 22), 8 * end):
        content = bytearray(sound)
        content[bit // 8] ^= 1 << bit % 8
        run.metrics.write_bytes(content)
        metrics._told.clear()
        assert [line["episode"] for line in run.read_metrics()][-2:] == [2, 3]
        assert len(run.read_metrics()) == 2
        assert "damaged lines, left out: " in capsys.readouterr().err


def test_a_last_line_that_was_cut_off_is_no_damage(tmp_path, capsys):
    run = Run(tmp_path)
    run.metrics.write_bytes(b"\n".join(lines_of(3))[:-5])
    assert len(run.read_metrics()) == 2
    assert capsys.readouterr().err == ""


def test_values_that_were_not_finite_are_drawn(tmp_path):
    folder = write_run(tmp_path / "run", tested=False)
    text = (folder / "metrics.jsonl").read_text().splitlines()
    first = json.loads(text[5]) | {"loss": None}
    (folder / "metrics.jsonl").write_text("\n".join([*text[:5], json.dumps(first), *text[6:]]))
    write_report([folder], tmp_path / "report", OverlayOptions())
