"""The second pass of changed clips through the backbone: only where a loss needs it."""

import copy

import pytest
import torch

from tasd import recipes
from tasd.config import Config
from tasd.episodes import Episode, View
from tasd.recipes.settings import replace
from tasd.training.learner import Learner, build_learner
from tasd.types import EpisodeBatch

CLASSES = ("a", "b")


def config(*settings) -> Config:
    small = [("data.frames", 4), ("data.crop", 32), ("training.precision", "float32")]
    return replace(recipes.make("arn", dataset="folder", shot=1), [*small, *settings])


def learner(*settings) -> Learner:
    torch.manual_seed(0)
    return build_learner(config(*settings), classes=CLASSES).train()


def batch() -> EpisodeBatch:
    random = torch.Generator().manual_seed(0)
    views = tuple(View(name, (0.0,) * 4) for name in "abcd")
    episode = Episode(0, CLASSES, views[:2], views[2:], (0, 1), (0, 1))
    shape = (4, 4, 32, 32, 3)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
    return EpisodeBatch(episode, frames, torch.tensor([0, 1]), torch.tensor([0, 1]))


def passes(made: Learner) -> list[int]:
    """Count the videos of each pass through the backbone of one episode."""
    seen = []
    made.student.backbone.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    made(batch())
    return seen


def test_changed_clips_pass_where_a_loss_of_them_has_a_weight():
    assert passes(learner()) == [4, 4]
    assert passes(learner(("matcher.losses", {"mse": 1.0, "alignment": 0.1}))) == [4, 4]


@pytest.mark.parametrize(
    "settings",
    [
        ("matcher.losses", {"mse": 1.0}),
        ("matcher.losses", {"mse": 1.0, "self_supervision": 0.0, "alignment": 0.0}),
    ],
)
def test_without_such_a_weight_there_is_one_pass(settings):
    made = learner(settings)
    assert passes(made) == [4]
    assert set(made(batch()).terms) == {"mse"}


def test_the_total_is_of_the_mean_squared_error_and_not_of_the_cross_entropy():
    made = learner()
    losses = made(batch())
    assert set(losses.terms) == {"mse", "self_supervision", "alignment"}
    expected = losses.terms["mse"] + 0.1 * (
        losses.terms["self_supervision"] + losses.terms["alignment"]
    )
    torch.testing.assert_close(losses.total, expected)
    bare = recipes.make("baseline", dataset="folder", shot=1, settings=[("matcher.name", "arn")])
    assert bare.matcher.losses == {}
    small = [("network.backbone", "c3d64"), ("network.weights", "none"), ("data.crop", 32)]
    assert build_learner(replace(bare, small), classes=CLASSES).weights["mse"] == 1
    other = learner(("matcher.options", {"loss": "ce"}), ("matcher.losses", {"alignment": 0.1}))
    assert set(other(batch()).terms) == {"metric", "alignment"}


def test_changed_clips_do_not_move_the_running_statistics():
    both, alone = learner(), learner(("matcher.losses", {"mse": 1.0}))
    alone.load_state_dict(both.state_dict())
    both(batch())
    alone(batch())
    moved = dict(both.student.backbone.named_buffers())
    for name, buffer in alone.student.backbone.named_buffers():
        assert torch.equal(buffer, moved[name]), name
        assert "num_batches" not in name or int(buffer) == 1


def test_the_second_pass_is_the_backbones_in_the_models_precision():
    student = learner().student
    pixels = torch.randn(2, 4, 3, 32, 32)
    twin = copy.deepcopy(student.backbone)
    torch.testing.assert_close(student.encode(pixels), twin(pixels))
    student.precision = "bf16"
    with torch.autocast("cpu", enabled=False):
        assert student.encode(pixels).dtype == torch.bfloat16


def test_the_ways_of_an_episode_are_drawn_again_from_its_seed():
    made = learner()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(made(batch()).terms["self_supervision"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_of_both_passes_reach_every_weight(checkpointing: bool):
    made = learner(("network.gradient_checkpointing", checkpointing))
    made(batch(), gradient_norms=True).total.backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
