"""Tables of published results and of ours, in every format."""

import re

import pytest

from tasd.report.latex import latex
from tasd.report.outcome import read_outcome
from tasd.report.published import LATER, TABLE1
from tasd.report.tables import html_table, markdown, tables
from tests.report.written import config_of, write_run


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a run for each config and makes their tables, by name."""

    def made(*runs):
        outcomes = [
            read_outcome(write_run(tmp_path / f"run_{i}", config=config))
            for i, config in enumerate(runs)
        ]
        return {table.name: table for table in tables(outcomes)}

    return made


def test_every_published_row_of_table_1_stands_above_ours(made):
    table = made(config_of(), config_of("baseline"))["table1"]
    assert len(table.rows) == len(TABLE1) + len(LATER) + 2
    assert table.ours == 2
    assert table.header[1:3] == ("Kinetics-100 1-shot", "Kinetics-100 5-shot")
    by_method = {row[0]: row[1:] for row in table.rows}
    assert by_method["TASD (Zhang et al. 2024)"] == ("76.5", "87.4", "88.2", "96.1", "61.1", "77.4")
    assert by_method["ITANet (Zhang et al. 2021)"][2:] == ("-",) * 4
    assert by_method["TEAM (Lee et al. 2025)"] == ("75.1", "88.2", "87.2", "-", "62.8", "-")
    assert "TS-FSAR" in table.caption
    ours = by_method["TASD, ours"]
    assert re.fullmatch(r"\d\d\.\d ±\d\.\d", ours[0])
    assert ours[1:] == ("-",) * 5


def test_figures_of_another_protocol_stand_in_brackets_with_the_reason(made):
    table = made(config_of())["table1"]
    arn = next(row for row in table.rows if row[0] == "ARN (Zhang et al. 2020)")
    assert arn[1:3] == ("63.7", "82.4")
    assert arn[3:] == ("66.3 (62.1)", "83.1 (84.8)", "45.5 (44.6)", "59.0 (59.1)")
    for part in ("Tables 3 and 4", "in brackets", "five random splits of the classes in halves"):
        assert part in table.caption


def test_runs_on_a_folder_of_ones_own_have_nothing_published_beside_them(made):
    table = made(config_of(dataset="folder"))["table1"]
    assert table.header == ("method", "folder 1-shot")
    assert [row[0] for row in table.rows] == ["TASD, ours"]
    assert "random splits" not in table.caption


def test_table_2_switches_the_terms(made):
    table = made(config_of(dataset="ucf101"), config_of("baseline", dataset="ucf101"))["table2"]
    assert [row[4] for row in table.rows] == ["86.31", "87.02", "87.72", "88.32"]
    assert [row[1:4] for row in table.rows][::3] == [("", "", ""), ("yes", "yes", "yes")]
    assert [row[5] == "-" for row in table.rows] == [False, True, True, False]


def test_table_3_holds_the_pairs_and_the_best_episode(made):
    table = made(config_of(), config_of(distill__ce_pairs="SS"))["table3"]
    assert [row[:3] for row in table.rows] == [
        ("SS", "10,000", "75.68"),
        ("QS", "10,000", "75.67"),
        ("CS", "25,000", "76.04"),
    ]
    assert [row[3] for row in table.rows] == ["1,100", "", "1,100"]
    assert table.rows[1][4] == "-"


def test_tables_without_a_number_of_ours_are_left_out(made, tmp_path):
    assert set(made(config_of(dataset="folder"))) == {"results", "table1"}
    untested = read_outcome(write_run(tmp_path / "untested", tested=False))
    assert tables([untested]) == []


def test_the_networks_of_a_run_are_told_apart(made):
    rows = made(config_of())["results"].rows
    assert [row[3] for row in rows] == ["student", "teacher (chosen)"]


def test_markdown_has_as_many_bars_in_every_line(made):
    for table in made(config_of(), config_of("baseline")).values():
        lines = markdown(table).strip().splitlines()[2:]
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) == len(table.rows) + 2


def test_latex_escapes_and_counts_its_columns(made):
    for table in made(config_of(), config_of("baseline")).values():
        text = latex(table)
        cells = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {line.count(" & ") for line in cells} == {len(table.header) - 1}
        assert not re.search(r"(?<!\\)[%#_]", text)
        assert "±" not in text
        assert text.count("{") == text.count("}")
        assert text.count(r"\midrule") == 1 + bool(0 < table.ours < len(table.rows))


def test_html_escapes_names(made):
    table = made(config_of())["table1"]
    odd = type(table)("x", "a < b", ("m", "n"), (("<b>", "1"), ("us", "2")), ours=1)
    text = html_table(odd)
    assert "&lt;b&gt;" in text
    assert "a &lt; b" in text
    assert text.count("class=ours") == 1
