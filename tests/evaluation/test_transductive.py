"""A transductive matcher is told as such: in its results, reports and lists."""

import json
from pathlib import Path

from typer.testing import CliRunner

from tasd import recipes
from tasd.cli.app import app
from tasd.recipes.settings import replace
from tasd.report.outcome import read_outcome
from tests.recipes.test_recipes import TINY
from tests.runs import small_run


def evaluated(store: Path, folder: Path, *, together: bool) -> str:
    """Train MPL for an episode, test it, and return what is printed."""
    made = recipes.make("mpl", dataset="folder", shot=1)
    own = [("matcher.options.transductive", together), ("training.episodes", 1)]
    own += [("network.backbone", "resnet8"), ("episode.queries", 1)]
    small_run(store, folder, replace(made, [*TINY, *own]))
    words = ["evaluate", "--run", folder, "--store", store, "--episodes", 4]
    said = CliRunner().invoke(app, [str(word) for word in words])
    assert said.exit_code == 0, said.output
    return said.output


def test_results_say_that_queries_see_each_other(small_store: Path, tmp_path: Path):
    said = evaluated(small_store, tmp_path / "together", together=True)
    assert "transductive: the queries of an episode see each other" in said
    outcome = read_outcome(tmp_path / "together")
    assert outcome.result is not None
    assert outcome.result["provenance"]["transductive"] is True
    assert outcome.method == "MPL, transductive"


def test_results_of_queries_alone_do_not(small_store: Path, tmp_path: Path):
    assert "transductive" not in evaluated(small_store, tmp_path / "alone", together=False)
    outcome = read_outcome(tmp_path / "alone")
    assert outcome.result is not None
    assert outcome.result["provenance"]["transductive"] is False
    assert outcome.method == "MPL"


def test_the_list_of_matchers_says_who_may_be_and_what_is_not_published():
    said = CliRunner().invoke(app, ["matchers"]).output
    assert "with --set matcher.options.transductive=true all together" in said
    assert "ucf101 87.2 / -, hmdb51 62.8 / -" in said
    assert "of another protocol: kinetics 96.3 / 96.6" in said
    plain = json.loads(CliRunner().invoke(app, ["matchers", "--json"]).output)
    assert [name for name, of in plain.items() if of["transductive_option"]] == ["mpl"]
    assert plain["team"]["published"]["ucf101"] == [87.2, None]
    assert plain["tsdcm"]["published"] == {}
