"""Recorded passes: the numbers of plain ones, on any episode, and plain ones where they cannot be.

A tape of operations stands for a CUDA graph (`tests.tape`); `tests/test_gpu.py` has the same on a
GPU.
"""

import dataclasses
from pathlib import Path

import pytest
import torch

from tasd.bench.step import Bench, build_step
from tasd.episodes import EpisodeSampler
from tasd.errors import UserError
from tasd.recipes.settings import replace
from tasd.reproduce.rows import RowRequest, rows_of
from tasd.reproduce.runs import _check_same, plan_runs
from tasd.runs.rules import read_config
from tasd.training import cuda_graph, graph, optimiser, plan
from tasd.training.graph import Recorded, record_passes, why_not
from tasd.training.parts import TrainingParts
from tasd.types import EpisodeBatch
from tests.runs import small_config, small_run, state
from tests.tape import TapeRecorder

SMALL = Bench(backbone="resnet8", size=32, queries=1, precision="float32", device="cpu")
FEW = [("network.backbone", "tiny"), ("network.depth", 1), ("network.feedforward", 32)]
HEADS = [("distill.hidden", 32), ("distill.out_dim", 24), ("distill.states", 16)]


def parts_of(*settings, recipe: str = "tasd") -> TrainingParts:
    own = HEADS if recipe == "tasd" else []
    return build_step(
        replace(SMALL.config(recipe), [*FEW, ("data.frames", 2), *own, *settings]), "cpu"
    )[0]


def episodes(count: int, *, shot: int = 1, second: str = "none") -> list[EpisodeBatch]:
    names = [f"class {c}" for c in range(5)]
    videos = {name: [f"{name}/{v}" for v in range(6)] for name in names}
    sampler = EpisodeSampler(
        videos, 5, shot, 1, count, seed=3, frames=2, training=True, second=second
    )
    random = torch.Generator().manual_seed(1)

    def pixels(number: int) -> torch.Tensor:
        shape = (number, 2, 32, 32, 3)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)

    return [
        EpisodeBatch(
            episode,
            pixels(len(episode.support) + len(episode.query)),
            torch.tensor(episode.support_labels),
            torch.tensor(episode.query_labels),
            pixels(len(episode.second)) if episode.second else None,
        )
        for episode in sampler
    ]


@pytest.fixture
def tape(monkeypatch) -> TapeRecorder:
    recorder = TapeRecorder()
    monkeypatch.setattr(cuda_graph, "recorder", lambda device: recorder)
    monkeypatch.setattr(plan, "WORTH_A_TRIAL", 1)  # a GPU records before the shortest run
    return recorder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A backbone of two convolutions, and one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learnt(parts: TrainingParts, batches: list[EpisodeBatch]) -> list[object]:
    """Take a step of each batch, the learning rate and lambda of Eq. 1 changing; what came of it.

    Every third step has gradient norms.
    """
    told = []
    for number, batch in enumerate(batches):
        optimiser.set_rate(parts.optimiser, 1 / (1 + number))
        result = parts.gradients([batch], norms=number % 3 == 0)
        told.append((result.metrics, result.gradient, result.gradient_norms))
        parts.update(result, ema=0.1 / (1 + number))
    return told


def assert_equal_bits(one: TrainingParts, other: TrainingParts) -> None:
    for name in ("learner", "teacher"):
        own, theirs = getattr(one, name), getattr(other, name)
        if own is None:
            continue
        for key, value in own.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), (name, key)


CASES = {
    "tasd": ((), {}),
    "live": ((("network.batchnorm", "live"),), {}),
    "same views": (
        (("distill.ce_pairs", "SS"), ("distill.map_pairs", "QS")),
        {"second": "support"},
    ),
    "several shots": ((), {"shot": 2}),
}


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_plain_steps_to_the_bit(tape, case):
    settings, shape = CASES[case]
    batches = episodes(5, **shape)
    plain = parts_of(*settings)
    recorded = parts_of(*settings).record(batches[0])
    assert recorded.recorded.difference == 0.0
    told = learnt(recorded, batches), learnt(plain, batches)
    assert told[0] == told[1]
    assert told[0][0][2]["metric"]["frames"] > 0
    assert_equal_bits(recorded, plain)
    assert tape.recorded == 2
    assert tape.replays == len(batches) + 2  # the comparison, and the time of one


def test_recording_learns_nothing_and_leaves_no_gradient(tape):
    parts, untouched = parts_of(), parts_of()
    assert parts.record(episodes(1)[0]).recorded.recording is not None
    assert_equal_bits(parts, untouched)
    assert all(p.grad is None for p in parts.learner.parameters())
    assert parts.learner.student.backbone.training == untouched.learner.student.backbone.training


def test_a_run_of_replayed_steps_is_a_plain_run_and_is_resumed_to_the_bit(
    tape, small_store, tmp_path
):
    """With a save after each step: its copy is of its moment, though a replay follows at once."""
    own = (("training.checkpoint_every", 4),)
    plain = small_run(
        small_store, tmp_path / "plain", small_config(*own, ("training.graph", "off"))
    )
    assert tape.recorded == 0
    config = small_config(*own, ("training.save_every", 1))
    run = small_run(small_store, tmp_path / "run", config).run
    assert tape.recorded == 2
    for name in ("episode-000004.pt", "last.pt"):
        assert_same_file(plain.run.checkpoints / name, run.checkpoints / name)
    kept = run.checkpoints / "episode-000004.pt"
    again = small_run(small_store, tmp_path / "run", run.config(), resume=kept)
    assert again.exit_code == 0
    assert tape.recorded == 4
    assert_same_file(plain.run.last, again.run.last)


def assert_same_file(one: Path, other: Path) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_dropout_of_a_replayed_episode_is_that_of_its_own_seed(tape):
    one = episodes(1)[0]
    parts = parts_of(("network.dropout", 0.5)).record(one)
    same_pixels = dataclasses.replace(one, episode=dataclasses.replace(one.episode, index=7))
    found = []
    for batch in (one, same_pixels, one):
        found.append(parts.gradients([batch]).metrics.loss)
        parts.step.undo()
    assert found[0] == found[2] != found[1]


def test_an_episode_of_another_shape_takes_the_plain_passes(tape):
    parts, plain = parts_of().record(episodes(1)[0]), parts_of()
    before = tape.replays
    ragged = episodes(2, shot=2)
    assert learnt(parts, ragged) == learnt(plain, ragged)
    assert tape.replays == before
    assert_equal_bits(parts, plain)


def test_a_recipe_without_a_teacher_is_recorded_too(tape):
    batches = episodes(3)
    parts, plain = parts_of(recipe="baseline").record(batches[0]), parts_of(recipe="baseline")
    assert learnt(parts, batches) == learnt(plain, batches)
    assert tape.replays > 0


PACE = "weights or temperature of the distillation change from step to step"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ([("training.graph", "off")], "training.graph is off"),
        ([("training.episodes_per_step", 2)], "a step has 2 episodes, and it is for one"),
        ([("network.gradient_checkpointing", True)], "network.gradient_checkpointing is on"),
        ([("training.compile", True)], "training.compile is on"),
        ([("distill.start", 0.5)], PACE),
        ([("distill.teacher_temperature_start", 0.02)], PACE),
        ([], ""),
    ],
)
def test_the_setting_that_forbids_it_is_named(settings, reason):
    config = replace(SMALL.config("tasd"), [("training.episodes_per_step", 1), *settings])
    assert why_not(config) == reason


def test_nothing_is_recorded_on_a_cpu_or_where_memory_is_short(monkeypatch):
    batch = episodes(1)[0]
    assert "it is for GPUs, and this is cpu" in parts_of().record(batch).recorded.line
    tape = TapeRecorder(short="it takes 9.0 GiB more and 2.0 GiB are free")
    monkeypatch.setattr(cuda_graph, "recorder", lambda device: tape)
    recorded = parts_of().record(batch).recorded
    assert recorded.line.endswith("it takes 9.0 GiB more and 2.0 GiB are free")
    assert not recorded.replay(batch, norms=False)


class Stale(TapeRecorder):
    """A recording whose replays do nothing."""

    def __call__(self, work):
        results = super().__call__(work)()
        return lambda: results


def test_a_recording_that_gives_other_numbers_is_not_used(monkeypatch):
    monkeypatch.setattr(cuda_graph, "recorder", lambda device: Stale())
    batches = episodes(3)
    parts, plain = parts_of().record(batches[0]), parts_of()
    assert "replayed passes differ from plain ones by" in parts.recorded.why_not
    assert learnt(parts, batches) == learnt(plain, batches)
    assert_equal_bits(parts, plain)


class Failing(TapeRecorder):
    """Recording fails as CUDA does. broken: nothing can be computed afterwards either."""

    def __init__(self, break_: object = None) -> None:
        super().__init__()
        self.break_ = break_

    def __call__(self, work):
        work()
        if self.break_ is not None:
            self.break_()
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")


def test_a_recording_that_fails_leaves_a_run_that_trains(monkeypatch):
    monkeypatch.setattr(cuda_graph, "recorder", lambda device: Failing())
    batches = episodes(3)
    parts, plain = parts_of().record(batches[0]), parts_of()
    assert parts.recorded.why_not == "operation not permitted when stream is capturing"
    assert learnt(parts, batches) == learnt(plain, batches)
    assert_equal_bits(parts, plain)


def test_where_nothing_goes_on_after_a_failure_one_line_says_how_to_begin_again(monkeypatch):
    parts = parts_of()

    def break_() -> None:
        def dead(*_):
            raise RuntimeError("Offset increment outside graph capture")

        monkeypatch.setattr(type(parts.learner), "forward", dead)

    monkeypatch.setattr(cuda_graph, "recorder", lambda device: Failing(break_))
    with pytest.raises(UserError, match=r"begin again with --set training\.graph=off") as said:
        parts.record(episodes(1)[0])
    assert "\n" not in str(said.value)


def test_what_is_not_recorded_says_why_and_asks_for_the_plain_passes():
    nothing = Recorded(why_not="there is no memory for it")
    assert not nothing.replay(episodes(1)[0], norms=False)
    assert nothing.line == (
        "the passes of a step are not recorded as a CUDA graph: there is no memory for it"
    )


def test_a_step_of_several_episodes_is_not_recorded(tape):
    parts = parts_of(("training.episodes_per_step", 2))
    recorded = record_passes(parts.step, parts.teacher, episodes(1)[0], parts.config)
    assert recorded.recording is None
    assert tape.recorded == 0


def test_a_replay_that_waits_for_the_device_is_refused_before_it_is_recorded(tape, monkeypatch):
    parts = parts_of()
    original = graph.Step.figures

    def reading(self):
        found = original(self)
        float(found.values[0])
        return found

    monkeypatch.setattr(graph.Step, "figures", reading)
    recorded = parts.record(episodes(1)[0]).recorded
    assert "_local_scalar_dense makes the host wait" in recorded.why_not
    assert tape.recorded == 0


def test_a_run_from_before_the_setting_is_not_recorded_and_a_reproduction_goes_on_with_it(tmp_path):
    row = rows_of("table1", RowRequest("folder"))[0]
    (planned,) = plan_runs([row], seeds=1, folder=tmp_path)
    tree = planned.config.model_dump()
    del tree["training"]["graph"]
    before = read_config(tree, source="config.json")
    assert (planned.config.training.graph, before.training.graph) == ("auto", "off")
    _check_same(before, planned)
    with pytest.raises(UserError, match=r"training\.episodes|--episodes"):
        _check_same(replace(before, [("training.episodes", 7)]), planned)
