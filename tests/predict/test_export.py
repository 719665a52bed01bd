"""An export labels clips as its run does, without the run."""

import json
import math
import random
import shutil

import numpy as np
import pytest

from tasd.errors import UserError
from tasd.predict import FewShotRecognizer
from tasd.predict.export import read_export, write_export
from tasd.predict.trained import trained_network
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tests.checkpoints import flip
from tests.cli.test_predict import run_tasd
from tests.runs import small_config, small_run


@pytest.fixture(scope="module")
def exported(trained_once, tmp_path_factory):
    home = shutil.copytree(trained_once, tmp_path_factory.mktemp("exported") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASD_HOME", str(home))
        run_tasd("export", home / "runs" / "tiny", "--out", home / "export")
    return home / "export"


@pytest.fixture
def export(exported, tmp_path):
    """A copy for one test."""
    return shutil.copytree(exported, tmp_path / "export")


def test_an_export_gives_the_scores_of_its_run_without_it(home, export, support, clips):
    queries = sorted(clips.iterdir())
    run = FewShotRecognizer.from_run(home / "runs" / "tiny").fit(support)
    expected = run.decision_function(queries)
    shutil.rmtree(home)
    alone = FewShotRecognizer.from_run(export, reject=True).fit(support)
    np.testing.assert_array_equal(alone.decision_function(queries), expected)
    assert {(t.way, t.shot) for t in alone.network_.thresholds} == {(4, 1), (4, 5)}
    assert (alone.threshold_.way, alone.threshold_.shot) == (4, 1)  # the nearest to 2-way 2-shot


def test_only_what_labels_clips_is_exported(small_store, tmp_path):
    """The heads that distillation compares stay behind."""
    from safetensors.torch import load_file

    store = shutil.copytree(small_store, tmp_path / "stores" / "folder")
    run = Run(tmp_path / "run")
    small_run(store, run.path, small_config(episodes=1))
    trained = trained_network(run, store=store)
    assert any("projection." in name for name in load(run.last).learner)
    weights, config = write_export(trained, tmp_path / "export")
    names = load_file(weights)
    assert not [name for name in names if name.startswith(("projection.", "relation."))]
    assert json.loads(config.read_text())["config"]["distill"]["ce"] > 0
    assert weights.stat().st_size < 0.55 * run.best.stat().st_size  # of two networks
    _ = FewShotRecognizer.from_run(tmp_path / "export").network_


def test_weights_that_are_not_finite_are_neither_exported_nor_read(export, tmp_path):
    from safetensors.torch import load_file, save_file

    trained = read_export(export)
    next(trained.model.parameters()).data.fill_(math.nan)
    with pytest.raises(UserError, match="weights that are not finite"):
        write_export(trained, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    state = load_file(export / "model.safetensors")
    next(value for value in state.values() if value.is_floating_point()).fill_(math.inf)
    save_file(state, export / "model.safetensors", metadata={"format": "pt"})
    content = json.loads((export / "config.json").read_text())
    old = {k: v for k, v in content.items() if k not in ("sha256", "weights_sha256")}
    (export / "config.json").write_text(json.dumps(old | {"version": 1}))  # carries no digest
    with pytest.raises(UserError, match="weights that are not finite"):
        read_export(export)


@pytest.mark.parametrize("name", ["README.md", "model.safetensors"])
def test_files_of_another_origin_are_not_overwritten(home, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("# Mine")
    for out in (tmp_path / "mine", tmp_path / "mine" / name):
        with pytest.raises(UserError, match=r"would be lost|is a file"):
            run_tasd("export", home / "runs" / "tiny", "--out", out)
    assert [(p.name, p.read_text()) for p in (tmp_path / "mine").iterdir()] == [(name, "# Mine")]


def test_a_killed_export_is_written_by_the_same_command(home, export, tmp_path):
    begun = shutil.copytree(export, tmp_path / "begun")
    (begun / "config.json").unlink()  # written last
    run_tasd("export", home / "runs" / "tiny", "--out", begun, "--no-reject")
    assert {path.name for path in begun.iterdir()} == {p.name for p in export.iterdir()}


def test_what_is_wrong_with_an_export_is_told_in_one_line(home, export):
    with pytest.raises(UserError, match="already"):
        run_tasd("export", home / "runs" / "tiny", "--out", export)
    content = json.loads((export / "config.json").read_text())
    for change, message in (
        ({"version": 9}, "version 9"),
        ({"frames": {}}, "digest differs"),
        ({"frames": {}, "version": 1}, "is damaged"),
        ({"trained_on": None, "version": 1}, "is damaged"),
    ):
        (export / "config.json").write_text(json.dumps(content | change))
        with pytest.raises(UserError, match=message):
            _ = FewShotRecognizer.from_run(export).network_
    (export / "config.json").write_text(json.dumps(content))
    (export / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="digest differs"):
        _ = FewShotRecognizer.from_run(export).network_


def test_an_export_without_a_threshold_says_so(home, support, tmp_path):
    run_tasd("export", home / "runs" / "tiny", "--out", tmp_path / "bare", "--no-reject")
    with pytest.raises(UserError, match="without a threshold"):
        FewShotRecognizer.from_run(tmp_path / "bare", reject=True).fit(support)


@pytest.mark.parametrize(
    "flips", [20, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_flipped_bit_of_an_export_is_found(export, name, flips):
    path = export / name
    draw = random.Random(3)
    whole = json.loads((export / "config.json").read_text())
    for _ in range(flips):
        bit = draw.randrange(8 * path.stat().st_size)
        flip(path, bit=bit)
        try:
            _ = FewShotRecognizer.from_run(export).network_
        except UserError as error:
            told = str(error)
            assert "\n" not in told
        else:  # 1e-05 and 1E-05 are the same number
            assert name == "config.json"
            assert json.loads(path.read_text()) == whole
        flip(path, bit=bit)
    _ = FewShotRecognizer.from_run(export).network_
