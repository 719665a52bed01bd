"""Figures show the numbers of the runs, and the HTML page needs no other file."""

import re
import resource

import numpy as np
import pytest
import torch
from PIL import Image

from tasd.errors import UserError
from tasd.extraction.attention import attention
from tasd.model import build_model
from tasd.report import OverlayOptions, write_report
from tasd.report.attention import overlay
from tasd.report.curves import training_curves
from tasd.report.outcome import read_outcome
from tasd.report.per_class import per_class_bars
from tasd.report.style import new_figure, save
from tests.report.written import config_of, write_run
from tests.runs import small_config, small_run


def test_curves_draw_what_the_log_says(tmp_path):
    outcome = read_outcome(write_run(tmp_path / "run"))
    figure = training_curves(outcome)
    accuracy, total, terms, gradients = figure.axes
    drawn = {line.get_label(): line for line in accuracy.lines}
    validation = [x for x in outcome.run.read_metrics() if x["kind"] == "validation"]
    for name in ("student", "teacher"):
        assert list(drawn[name].get_xdata()) == [x["episode"] for x in validation]
        assert list(drawn[name].get_ydata()) == [x[name]["accuracy"] for x in validation]
    assert len(total.lines) == 1
    assert len(terms.lines) == 6  # metric, training classes, four of distillation
    assert len(gradients.lines) == 12
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_the_running_mean_keeps_the_level(tmp_path):
    outcome = read_outcome(write_run(tmp_path / "run"))
    losses = [x["loss"] for x in outcome.run.read_metrics() if x["kind"] == "train"]
    line = training_curves(outcome).axes[1].lines[0]
    assert np.mean(line.get_ydata()) == pytest.approx(np.mean(losses), rel=0.05)
    assert np.std(np.diff(line.get_ydata())) < 0.2 * np.std(np.diff(losses))


def test_a_run_that_only_began_has_no_curves(tmp_path):
    path = write_run(tmp_path / "run")
    (path / "metrics.jsonl").write_text("")
    assert training_curves(read_outcome(path)) is None


def test_bars_are_the_accuracies_of_the_classes_hardest_on_top(tmp_path):
    outcomes = [
        read_outcome(write_run(tmp_path / name, config=config_of("baseline"), skill=skill))
        for name, skill in (("otam", 0.6), ("ours", 1.2))
    ]
    axes = per_class_bars(outcomes).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    first = [outcomes[0].chosen["per_class"][name] for name in labels]
    assert first == sorted(first, reverse=True)  # bars run upwards: the last is on top
    for outcome, bars in zip(outcomes, axes.containers, strict=True):
        widths = [bar.get_width() for bar in bars]
        assert widths == pytest.approx([100 * outcome.chosen["per_class"][n] for n in labels])


def test_the_overlay_is_brightest_where_the_attention_is():
    frame = np.full((64, 64, 3), 128, np.uint8)
    heat = torch.zeros(4, 4)
    heat[0, 3] = 1
    light = overlay(frame, heat).sum(axis=2)
    assert np.unravel_index(light.argmax(), light.shape)[0] < 16
    assert np.unravel_index(light.argmax(), light.shape)[1] >= 48
    assert light.max() > 2 * light[40:, :24].max()
    assert overlay(frame, heat).min() >= 0
    assert overlay(frame, heat).max() <= 1


def test_attention_is_the_mean_absolute_map():
    torch.manual_seed(0)
    model = build_model(small_config(), classes=4).eval()
    frames = torch.randint(0, 256, (1, 2, 64, 64, 3), dtype=torch.uint8)
    seen = attention(model, frames, label="x")
    with torch.inference_mode():
        maps = model(frames).maps.abs()
    video = maps.mean(dim=(1, 2))[0]
    frame = maps.mean(dim=1)[0]
    for drawn, expected in ((seen.video, video), (seen.frames, frame)):
        scaled = (expected - expected.min()) / (expected.max() - expected.min())
        torch.testing.assert_close(drawn, scaled, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def real_run(small_store, tmp_path_factory):
    """A run with checkpoints at two episodes, trained on a store of pictures."""
    folder = tmp_path_factory.mktemp("real") / "run"
    config = small_config(("training.checkpoint_every", 4), episodes=8)
    small_run(small_store, folder, config)
    return folder


def test_a_report_of_a_run_holds_curves_and_overlays(real_run, small_store, tmp_path):
    options = OverlayOptions(class_name="test class 3", store=small_store)
    written = write_report([real_run], tmp_path, options)
    names = {path.name for path in written.files}
    assert {"curves-run.png", "attention-run.png", "tables.md", "report.html"} <= names
    assert written.notes == ("run was not tested",)
    with Image.open(tmp_path / "attention-run.png") as picture:
        assert picture.width >= 1200


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("one", "two & <three>")]
    written = write_report(runs, tmp_path / "out", OverlayOptions())
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.count("<img") == text.count("src='data:image/png;base64,") == 2
    assert not re.search(r"url\(|@import|https?:", text)
    assert set(re.findall("(?:href|src)=['\"](.)", text)) == {"#", "d"}
    assert text.count("<script") == 1
    assert "two &amp; &lt;three&gt;" in text
    assert "76.5" in text
    assert all(path.exists() for path in written.files)
    assert (tmp_path / "out" / "per_class.pdf").exists()
    assert "no attention overlays" in written.notes[0]


def test_overlays_of_a_run_without_a_checkpoint_are_an_error_where_they_were_asked_for(
    small_store, tmp_path
):
    run = write_run(tmp_path / "run")
    options = OverlayOptions(class_name="test class 0", store=small_store)
    with pytest.raises(UserError, match="run has no checkpoint; overlays need a run with one"):
        write_report([run], tmp_path / "out", options)


def test_overlays_that_were_asked_for_and_cannot_be_are_an_error(real_run, small_store, tmp_path):
    options = OverlayOptions(class_name="flying", store=small_store)
    with pytest.raises(UserError, match=r"--class 'flying' is no class of .*; there are: test"):
        write_report([real_run], tmp_path, options)
    options = OverlayOptions(video="test class 0/v99", store=small_store)
    with pytest.raises(UserError, match="--video 'test class 0/v99' is not in"):
        write_report([real_run], tmp_path, options)


@pytest.mark.parametrize("room", [0, 3000])
def test_a_figure_that_does_not_fit_on_the_disk_is_one_line_and_leaves_nothing(tmp_path, room):
    figure, limits = new_figure(2.0, 2.0), resource.getrlimit(resource.RLIMIT_FSIZE)
    figure.subplots().plot([1, 2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(UserError, match=r"a\.pdf cannot be written \(File too large\)"):
            save(figure, tmp_path, "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    write_report([write_run(tmp_path / "run")], tmp_path / "out", OverlayOptions())
    assert dict(matplotlib.rcParams) == before
