import io
import json
import os
import random
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

import tasd.progress
import tasd.training.loop
import tasd.training.plan
import tasd.training.step
from tasd.errors import UserError
from tasd.runs.checkpoint import Checkpoint, Progress, load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.log import RunLog
from tasd.training.plan import training_plan
from tasd.training.saver import Saver
from tasd.training.step import StepMetrics, StepResult
from tests import forks
from tests.runs import (
    assert_equal_bits,
    command,
    environment,
    lines,
    resume,
    small_config,
    small_run,
    state,
    wait_for_episode,
)


@pytest.fixture(scope="module")
def whole(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run of 8 episodes."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return small_run(small_store, folder, small_config()).run


@pytest.fixture(scope="module")
def undisturbed(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 16 episodes that nothing stops or kills."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return small_run(small_store, folder, small_config(episodes=16)).run


def test_a_run_leaves_plain_files_behind(whole):
    names = {path.name for path in whole.path.iterdir()}
    assert names >= {"config.json", "environment.json", "metrics.jsonl", "checkpoints"}
    assert {path.name for path in whole.checkpoints.iterdir()} == {
        "last.pt",
        "previous.pt",
        "best.pt",
    }
    environment = json.loads((whole.path / "environment.json").read_text())
    assert environment["packages"]["torch"]
    assert whole.config().training.episodes_per_step == 1


def test_every_term_is_logged_raw_and_weighted_and_with_its_slopes(whole):
    steps = lines(whole, "train")
    assert [line["episode"] for line in steps] == list(range(1, 9))
    assert set(steps[0]["terms"]) == {"metric", "ce", "at", "am", "pr", "auxiliary"}
    assert steps[0]["terms"]["am"]["weighted"] == pytest.approx(
        0.5 * steps[0]["terms"]["am"]["raw"]
    )
    gradient_norms = lines(whole, "gradients")
    assert [line["episode"] for line in gradient_norms] == [1, 4, 8]
    assert gradient_norms[0]["terms"]["am"]["frames"] == 0.0
    assert gradient_norms[0]["terms"]["am"]["maps"] > 0
    assert gradient_norms[0]["terms"]["metric"]["frames"] > 0
    assert all(0 < line["relation_share"] < 10 for line in steps)


def test_validation_reports_both_networks_and_keeps_the_best(whole):
    found = lines(whole, "validation")
    assert [line["episode"] for line in found] == [0, 4, 8]
    best = load(whole.best).progress.best
    top = max(
        (line[name]["accuracy"], name, line["episode"])
        for line in found[1:]  # the untrained network is never the best
        for name in ("student", "teacher")
    )
    assert best.accuracy == top[0]


def test_training_lowers_the_loss(small_store, tmp_path):
    own = (("network.backbone", "resnet8"), ("optimiser.warmup", 0))
    run = small_run(small_store, tmp_path / "run", small_config(*own, episodes=24)).run
    losses = [line["terms"]["metric"]["raw"] for line in lines(run, "train")]
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])


def test_the_same_seed_gives_the_same_run_and_another_seed_another(small_store, tmp_path, whole):
    again = small_run(small_store, tmp_path / "again", small_config()).run
    assert_equal_bits(whole.last, again.last)
    other = small_run(small_store, tmp_path / "other", small_config(("training.seed", 1))).run
    assert any(not torch.equal(v, state(other.last)[k]) for k, v in state(whole.last).items())


def test_training_cannot_open_the_test_classes(small_store, tmp_path, monkeypatch):
    seen = set()
    original = Store.jpegs

    def watching(self, video, frames):
        seen.add(video.split("/")[0].split()[0])
        return original(self, video, frames)

    def peeking(config, store, *, episodes):
        store.classes("test")

    monkeypatch.setattr(Store, "jpegs", watching)
    small_run(small_store, tmp_path / "run", small_config())
    assert seen == {"train", "val"}
    monkeypatch.setattr(tasd.training.loop, "training_episodes", peeking)
    with pytest.raises(UserError, match="was opened for train, val only"):
        small_run(small_store, tmp_path / "peek", small_config())


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("moment", [5, 7])
def test_a_run_that_broke_off_resumes_bit_for_bit(
    small_store, tmp_path, whole, monkeypatch, moment
):
    count = iter(range(1, 100))
    original = tasd.training.step.seed_dropout

    def breaking(seed, episode):
        if next(count) == moment:
            raise Interrupted
        original(seed, episode)

    monkeypatch.setattr(tasd.training.step, "seed_dropout", breaking)
    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        small_run(small_store, folder, small_config())
    monkeypatch.setattr(tasd.training.step, "seed_dropout", original)
    run = Run(folder)
    resumed = small_run(small_store, folder, load(run.last).config, resume=run.last).run
    assert_equal_bits(whole.last, resumed.last)
    for kind in ("train", "gradients", "validation"):
        assert lines(resumed, kind) == lines(whole, kind)


def test_a_run_is_saved_between_validations_and_resumes_bit_for_bit_from_there(
    small_store, tmp_path, whole, monkeypatch
):
    original, calls = tasd.training.step.seed_dropout, iter(range(1, 100))

    def breaking(seed, episode):
        if next(calls) == 4:
            raise Interrupted
        original(seed, episode)

    monkeypatch.setattr(tasd.training.step, "seed_dropout", breaking)
    folder, often = tmp_path / "run", small_config(("training.save_every", 3))
    with pytest.raises(Interrupted):
        small_run(small_store, folder, often)
    monkeypatch.setattr(tasd.training.step, "seed_dropout", original)
    run = Run(folder)
    assert load(run.last).progress.episode == 3  # the first validation is after episode 4
    resumed = small_run(small_store, folder, load(run.last).config, resume=run.last).run
    assert_equal_bits(whole.last, resumed.last)
    assert lines(resumed, "train") == lines(whole, "train")


def test_without_a_setting_the_clock_says_when_to_save(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(tasd.training.plan, "SECONDS_BETWEEN_SAVES", 0.0)
    saved, original = [], Saver.__call__

    def watching(self, now, **how):
        saved.append(now.episode)
        original(self, now, **how)

    monkeypatch.setattr(Saver, "__call__", watching)
    small_run(small_store, tmp_path / "run", small_config(episodes=4))
    assert saved == [1, 2, 3, 4]


def test_sigterm_saves_and_exits_143_and_the_rest_equals_the_whole(
    small_store, tmp_path, undisturbed
):
    folder = tmp_path / "run"
    process = forks.Fork(
        command(small_store, "--episodes", "16", "--out", str(folder)), env=environment()
    )
    wait_for_episode(folder, 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(200) == 143
    done = load(Run(folder).last).progress.episode
    assert 4 <= done < 16
    assert resume(small_store, folder).returncode == 0
    assert_equal_bits(undisturbed.last, Run(folder).last)


@pytest.mark.parametrize("attempt", range(2))
def test_kill_9_at_a_random_moment_costs_only_the_steps_since_the_checkpoint(
    small_store, tmp_path, undisturbed, attempt
):
    folder = tmp_path / "run"
    process = forks.Fork(
        command(small_store, "--episodes", "16", "--out", str(folder)), env=environment()
    )
    wait_for_episode(folder, 5)
    time.sleep(random.random() * 0.5)
    process.kill()
    process.wait()
    assert resume(small_store, folder).returncode == 0
    assert_equal_bits(undisturbed.last, Run(folder).last)
    assert lines(Run(folder), "train") == lines(undisturbed, "train")


@pytest.mark.parametrize("ranks", [2])
def test_two_ranks_equal_one_on_the_same_episodes(small_store, tmp_path, ranks):
    folder = tmp_path / "two"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    torchrun += ["--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    words = command(small_store, "--episodes", "8", "--out", str(folder))[1:]
    words += ["--set", "network.dropout=0.0", "--set", "network.backbone=resnet8"]
    result = forks.run([*torchrun, *words], env=environment(), timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    own = (("network.backbone", "resnet8"), ("network.dropout", 0.0))
    one = small_config(*own, ("training.episodes_per_step", 2))
    alone = small_run(small_store, tmp_path / "one", one).run
    left, right = state(alone.last), state(Run(folder).last)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(right[name], tensor, rtol=2e-3, atol=2e-4, msg=name)
    found = lines(Run(folder), "validation")
    for two, single in zip(found, lines(alone, "validation"), strict=True):
        assert two["student"]["accuracy"] == pytest.approx(single["student"]["accuracy"], abs=0.11)


def test_a_step_with_a_loss_that_is_not_finite_stops_with_its_terms(
    small_store, tmp_path, monkeypatch
):
    config = small_config()
    original = tasd.training.step.step_metrics
    count = iter(range(100))

    def broken(found, weights):
        numbers = original(found, weights)
        if next(count) != 5:
            return numbers
        nan = {"raw": float("nan"), "weighted": float("nan")}
        return replace(numbers, loss=float("nan"), terms=numbers.terms | {"ce": nan})

    monkeypatch.setattr(tasd.training.step, "step_metrics", broken)
    with pytest.raises(UserError, match=r"episode 5 \(seed 0\).*ce nan.*last good checkpoint"):
        small_run(small_store, tmp_path / "run", config)
    assert load(Run(tmp_path / "run").last).progress.episode == 4

    count = iter(range(100))
    tolerant = small_config(("training.skip_nonfinite", 1))
    run = small_run(small_store, tmp_path / "tolerant", tolerant).run
    assert load(run.last).progress.skipped == 1


def test_a_checkpoint_of_another_config_or_store_or_cut_short_is_refused(
    small_store, tmp_path, whole
):
    with pytest.raises(UserError, match=r"optimiser\.lr was 0\.0005"):
        small_run(small_store, whole.path, small_config(("optimiser.lr", 0.1)), resume=whole.last)
    cut = tmp_path / "checkpoints" / "last.pt"
    cut.parent.mkdir()
    content = whole.last.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    (cut.parent / "previous.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged.*previous\.pt"):
        load(cut)


def test_loading_never_executes_what_the_file_says(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"format": 1, "config": os.system}, path)
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        load(path)


def test_a_second_run_in_one_folder_is_refused_and_touches_nothing(small_store, whole):
    before = whole.last.read_bytes()
    with pytest.raises(UserError, match="already holds a run"):
        small_run(small_store, whole.path, small_config())
    assert whole.last.read_bytes() == before


def test_a_mistake_found_late_in_the_set_up_leaves_no_folder(small_store, tmp_path):
    with pytest.raises(UserError, match="no matcher is called"):
        small_run(small_store, tmp_path / "run", small_config(("matcher.name", "nosuch")))
    assert not (tmp_path / "run").exists()


def test_a_run_that_ended_before_its_first_save_is_begun_again_by_resume(small_store, tmp_path):
    folder = tmp_path / "run"
    process = forks.Fork(
        command(small_store, "--episodes", "8", "--out", str(folder)), env=environment()
    )
    wait_for_episode(folder, 1)
    process.kill()
    process.wait()
    assert Run(folder).unsaved
    with pytest.raises(UserError, match=f"go on with it by --resume {folder}"):
        small_run(small_store, folder, small_config())
    assert resume(small_store, folder).returncode == 0
    assert not Run(folder).unsaved
    assert [line["episode"] for line in lines(Run(folder), "train")] == list(range(1, 9))


def test_every_line_up_to_a_checkpoint_is_on_the_disk_before_it(small_store, tmp_path, monkeypatch):
    order: list[str] = []
    sync, save = Run.sync_metrics, Checkpoint.save

    def syncing(self):
        order.append("metrics")
        sync(self)

    def saving(self, path, **how):
        order.append("checkpoint")
        save(self, path, **how)

    monkeypatch.setattr(Run, "sync_metrics", syncing)
    monkeypatch.setattr(Checkpoint, "save", saving)
    small_run(small_store, tmp_path / "run", small_config(("training.save_every", 2), episodes=4))
    # The second save is after a validation: best.pt, then last.pt.
    assert order == ["metrics", "checkpoint", "metrics", "checkpoint", "checkpoint"]


def test_the_live_line_names_every_term_and_they_add_up_to_the_loss(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tasd.progress, "SECONDS_BETWEEN_LINES", -1.0)
    two_steps(tmp_path / "run", Console(width=200))
    said = capsys.readouterr().out.splitlines()[-1]
    assert "loss 3.500  accuracy 30.0%" in said
    assert "(metric 2.000  ce 1.500)" in said


def test_a_narrow_terminal_keeps_how_far_training_is_and_loses_the_terms(tmp_path):
    screen = io.StringIO()
    two_steps(tmp_path / "run", Console(width=60, force_terminal=True, file=screen))
    last = [line for line in screen.getvalue().splitlines() if "episode" in line][-1]
    assert re.search(r"episode 2/10  \S+ (s|min) left  loss 3\.500", last)
    assert "metric" not in last


def two_steps(path, console):
    numbers = [
        StepMetrics(
            3.0,
            0.2,
            {"metric": {"raw": 2.0, "weighted": 2.0}, "ce": {"raw": 2.0, "weighted": 1.0}},
            None,
        ),
        StepMetrics(
            4.0,
            0.4,
            {"metric": {"raw": 2.0, "weighted": 2.0}, "ce": {"raw": 4.0, "weighted": 2.0}},
            None,
        ),
    ]
    with RunLog(Run(path), 10, done=0, speaks=True, console=console) as log:
        for episode, metrics in enumerate(numbers, start=1):
            result = StepResult(metrics, 1.0, {}, projection=None, finite=True)
            log.step(episode, result, rate=1e-3, wait_share=0.01)


def test_an_episode_is_tried_before_a_long_run_and_changes_nothing(
    small_store, tmp_path, whole, monkeypatch
):
    seeds, original = [], tasd.training.step.seed_dropout

    def counted(seed, episode):
        seeds.append(episode.index)
        original(seed, episode)

    monkeypatch.setattr(tasd.training.step, "seed_dropout", counted)
    monkeypatch.setattr(tasd.training.plan, "WORTH_A_TRIAL", 8)
    run = small_run(small_store, tmp_path / "tried", small_config()).run
    assert seeds == [0, 0, *range(8)]
    assert "8 episodes will take about" in (tmp_path / "log.txt").read_text()
    assert_equal_bits(whole.last, run.last)


@pytest.mark.parametrize(
    ("world", "done", "tried"),
    [
        (World(0, 1, torch.device("cpu")), 0, True),
        (World(0, 1, torch.device("cpu")), 1, False),
        (World(0, 2, torch.device("cpu")), 98, True),
        (World(0, 1, torch.device("cuda", 0)), 98, True),
        (World(0, 1, torch.device("cuda", 0)), 100, False),
    ],
)
def test_an_episode_is_tried_where_it_is_needed_or_many_follow(world, done, tried):
    config = small_config(("training.episodes_per_step", world.size), episodes=100)
    assert training_plan(config, world).trial_due(Progress(episode=done), world) is tried
