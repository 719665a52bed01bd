"""Every new config records the rules that have changed; files written before keep the old ones."""

import inspect
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tasd import recipes
from tasd.config import RECORDED_OPTIONS, Config, MatcherOptions, validate
from tasd.errors import UserError
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest, wanted_episodes
from tasd.extraction.run import Extraction
from tasd.matchers import MATCHERS
from tasd.predict import FewShotRecognizer
from tasd.recipes.settings import replace
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.runs.rules import OLD_RULES, read_config
from tasd.store import Store
from tests.checkpoints import about, rewrite
from tests.cli.test_predict import run_tasd
from tests.runs import small_config, small_run
from tests.stores import write_store
from tests.videos import make_clip

RULE = "matcher.options.rule"


def made(**options: object) -> Config:
    settings = [(f"matcher.options.{name}", value) for name, value in options.items()]
    return recipes.make("prototype", dataset="folder", shot=5, settings=settings)


def without_the_key(path: Path) -> None:
    """Make a file of a run or an export what it was before the rule was recorded."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        del content.get("config", content)["matcher"]["options"]["rule"]
        if "version" in content:  # exports of then had no digests
            content["version"] = 1
        content.pop("sha256", None)
        path.write_text(json.dumps(content))
    else:
        rewrite(path, lambda noted: noted["config"]["matcher"]["options"].pop("rule"))


def rule_in(path: Path) -> object:
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        content = content.get("config", content)
    else:
        content = about(path)["config"]
    return content["matcher"]["options"].get("rule")


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a run of the old rule, one of the new, and their exports."""
    home = tmp_path_factory.mktemp("rules")
    store = write_store(home / "stores" / "folder", frames=8)
    (home / "runs").mkdir()
    rules: dict[str, list[tuple[str, object]]] = {"mean": [(RULE, "mean")], "prototype": []}
    for name, settings in rules.items():
        config = small_config(("episode.shot", 3), *settings, recipe="prototype", episodes=2)
        small_run(store, home / "runs" / name, config)
        words = ("export", home / "runs" / name, "--store", store, "--out", home / f"export-{name}")
        assert run_tasd(*words).exit_code == 0
    return home


@pytest.fixture
def home(trained_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained_once, tmp_path / "home")
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def make_old(home: Path) -> Run:
    """Take the rule out of all files of the run and the export that follow the old one."""
    run = Run(home / "runs" / "mean")
    export = home / "export-mean" / "config.json"
    for path in (run.path / "config.json", *run.checkpoints.glob("*.pt"), export):
        without_the_key(path)
        assert rule_in(path) is None
    return run


def test_every_file_of_a_new_run_records_its_rule(home: Path):
    for rule in ("mean", "prototype"):
        run = home / "runs" / rule
        export = home / f"export-{rule}" / "config.json"
        files = [run / "config.json", *(run / "checkpoints").glob("*.pt"), export]
        assert len(files) >= 4
        assert {rule_in(path) for path in files} == {rule}


def logits(run: Run, **how: object) -> np.ndarray:
    """Scores of the best checkpoint in 3-shot episodes."""
    with Store(run.path.parent.parent / "stores" / "folder") as store:
        saved = checkpoint.load(run.best)
        candidate = of_run(run, saved, store, Extraction(**how), source=run.best)
        episodes = wanted_episodes(store, "test", EpisodeRequest(3, 3, 1, 20), seed=0)
        (result,) = candidate.score(episodes).values()
    return result.logits


def test_an_old_run_is_evaluated_under_its_rule(home: Path):
    expected = logits(Run(home / "runs" / "mean"))
    run = make_old(home)
    np.testing.assert_allclose(logits(run), expected, atol=1e-6)
    np.testing.assert_allclose(logits(run, matcher="prototype"), expected, atol=1e-6)
    options = {"rule": "prototype"}
    rewrite(run.best, lambda noted: noted["config"]["matcher"].update(options=options))
    assert np.abs(logits(run) - expected).max() > 1e-4


def test_an_old_run_and_an_old_export_answer_under_their_rule(home: Path, tmp_path: Path):
    clips = [make_clip(tmp_path, name) for name in ("mpeg4.avi", "h264_forty.mp4", "vp9.webm")]
    for class_name, chosen in (("a", clips[:2]), ("b", clips[2:])):
        (tmp_path / "support" / class_name).mkdir(parents=True)
        for clip in chosen:
            shutil.copy(clip, tmp_path / "support" / class_name)

    def scores(folder: Path, rule: str) -> np.ndarray:
        fitted = FewShotRecognizer.from_run(folder).fit(tmp_path / "support")
        assert fitted.network_.model.matcher.rule == rule
        return fitted.decision_function(clips)

    expected = scores(home / "runs" / "mean", "mean")
    run = make_old(home)
    np.testing.assert_allclose(scores(run.path, "mean"), expected, atol=1e-6)
    np.testing.assert_allclose(scores(home / "export-mean", "mean"), expected, atol=1e-6)
    scores(home / "export-prototype", "prototype")
    run_tasd("export", run.path, "--out", tmp_path / "again")
    assert rule_in(tmp_path / "again" / "config.json") == "mean"


def test_an_old_run_is_resumed_under_its_rule(home: Path):
    store, run = home / "stores" / "folder", make_old(home)
    rewrite(run.last, lambda noted: noted["config"]["training"].update(episodes=4))
    small_run(store, run.path, checkpoint.load(run.last).config, resume=run.last)
    assert checkpoint.load(run.last).progress.episode == 4
    assert rule_in(run.last) == "mean"


def test_an_old_run_is_shown_and_reported(home: Path):
    run = make_old(home)
    for words in (["show", run.path], ["report", run.path, "--store", home / "stores" / "folder"]):
        assert run_tasd(*words).exit_code == 0
    assert run.config().matcher.options == {"rule": "mean"}


def test_old_squared_distances_were_to_the_mean_of_the_shots():
    tree = made(metric="squared_l2").model_dump()
    del tree["matcher"]["options"]["rule"]
    assert read_config(tree, source="old").matcher.options["rule"] == "prototype"
    tree["matcher"]["options"] = {"metric": "cosine"}
    assert read_config(tree, source="old").matcher.options["rule"] == "mean"
    assert tree["matcher"]["options"] == {"metric": "cosine"}


def test_a_config_that_is_no_tree_is_refused_as_before():
    for wrong in ([], {"matcher": 3}, {"matcher": {"name": "prototype", "options": 3}}):
        with pytest.raises(UserError) as told:
            validate(wrong, source="x.json")
        with pytest.raises(UserError, match=f"^{re.escape(str(told.value))}$"):
            read_config(wrong, source="x.json")


def test_the_recorded_options_are_the_defaults_of_their_matchers():
    for name, options in RECORDED_OPTIONS.items():
        accepted = inspect.signature(MATCHERS[name].__init__).parameters
        assert {option: accepted[option].default for option in options} == options
        assert MatcherOptions(name=name).options == options


@pytest.mark.parametrize("rule", OLD_RULES, ids=lambda rule: f"{rule.setting}={rule.value}")
def test_the_setting_of_an_old_rule_stands_in_every_new_config(rule):
    """Else a new file could be taken for an old one."""
    branch = replace(made(), list(rule.where.items())).model_dump()
    for part in rule.setting.split("."):
        branch = branch[part]


def test_another_matcher_does_not_inherit_the_recorded_option():
    changed = replace(made(), [("matcher.name", "otam")])
    assert changed.matcher.options == {}
    assert replace(changed, [("matcher.name", "prototype")]).matcher.options["rule"] == "prototype"
    assert replace(made(rule="mean"), [("matcher.name", "otam")]).matcher.options == {
        "rule": "mean"
    }
