"""Several ranks are one run: the same numbers, whatever a recipe leaves without a gradient."""

import sys

import pytest
import torch

from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.training.distributed import World
from tests import ranks
from tests.runs import command, lines, resume, wait_for_episode

ONE = World(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def two_ranks(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    words = [sys.executable, "-m", "tests.ranks", str(small_store), str(folder)]
    processes = ranks.start_two(words)
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("recipe", ranks.RECIPES)
def test_two_ranks_step_as_one_does(small_store, two_ranks, recipe):
    alone = ranks.steps(recipe, small_store, ONE)
    if recipe in ranks.IDLE:
        assert any(ranks.IDLE[recipe] in name for name in alone.idle)
    for weights, losses, idle in (one_rank[recipe] for one_rank in two_ranks):
        assert losses == pytest.approx(alone.losses, rel=1e-4)  # of both ranks' episodes
        assert idle == alone.idle
        assert weights.keys() == alone.weights.keys()
        for name, tensor in alone.weights.items():
            torch.testing.assert_close(weights[name], tensor, rtol=2e-3, atol=2e-4)


def test_a_rank_that_dies_ends_the_other_and_one_rank_goes_on(small_store, tmp_path):
    folder = tmp_path / "run"
    settings = ("training.save_every=2", "training.validation_every=30")
    own = [word for text in settings for word in ("--set", text)]
    words = command(small_store, "--episodes", "30", "--out", str(folder), *own)
    survivor, victim = ranks.start_two(words)
    wait_for_episode(folder, 6)
    victim.kill()
    told = survivor.communicate(timeout=100)[1]
    victim.communicate()
    assert survivor.returncode == 1
    assert "Traceback" not in told
    (line,) = [line for line in told.splitlines() if line.startswith("tasd:")]
    assert line.startswith("tasd: rank 0 of 2 lost its group (")
    assert f"--resume {folder} goes on" in line
    saved = load(Run(folder).last).progress.episode
    assert saved % 2 == 0
    assert 4 <= saved < 30
    assert resume(small_store, folder).returncode == 0
    assert [line["episode"] for line in lines(Run(folder), "train")] == list(range(2, 31, 2))


@pytest.mark.parametrize("setting", ["training.seed=1", "optimiser.lr=0.1"])
def test_ranks_that_differ_do_not_start(small_store, tmp_path, setting):
    words = command(small_store, "--episodes", "4", "--out", str(tmp_path / "run"))
    both = ranks.start_two(words, second=("--set", setting))
    said = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    for text in said:
        assert "Traceback" not in text
        assert f"differ in the setting {setting.partition('=')[0]}: " in text
    assert not (tmp_path / "run").exists()


def test_what_ranks_tell_holds_data_code_and_weights(small_store, tmp_path):
    from tasd.runs.checkpoint import Progress
    from tasd.store import Store
    from tasd.training import optimiser
    from tasd.training.agreement import identity
    from tasd.training.learner import build_learner
    from tasd.training.state import State

    config = ranks.config_of("ta2n")
    with Store(small_store) as store:
        learner = build_learner(config, classes=("a", "b"))
        state = State(
            config,
            store,
            learner,
            None,
            optimiser.build(learner, config.optimiser, pretrained=False),
        )
        told = identity(config, store, state, Progress())
        assert told["the store"] == store.hash[:16]
        assert {"the code of tasd", "the version of torch"} <= told.keys()
        next(learner.parameters()).data += 1
        other = identity(config, store, state, Progress())
    assert {k for k in told if told[k] != other[k]} == {"the weights before the first step"}
