"""TS-DCM against published numbers, and against plain loops."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers import build
from tasd.matchers.base import prepared
from tasd.matchers.tsdcm import TSDCM, distance_covariance
from tasd.types import Features, Task
from tests.matchers.golden import Golden

# Inputs, and the distillation from class names as text, which is no part of this matcher.
OTHERS = (
    "support_tokens",
    "query_tokens",
    "alpha",
    "alone_patches",
    "alone_patches_large",
    "kl_student_logits",
    "kl_teacher_logits",
    "kl_loss_T4",
)


def published(golden: Golden) -> TSDCM:
    matcher = TSDCM(10, width=None, alpha=golden.number("alpha"))
    matcher.load_state_dict(golden.weights({"generator": "generator"}))
    return matcher.to(golden.dtype).eval()


def features(tokens: Tensor) -> Features:
    """Take (videos, time, 1 + patches, channels) apart: class tokens and maps of one row."""
    return Features(tokens[:, :, 0], tokens[:, :, 1:].permute(0, 3, 1, 2)[:, :, :, None])


def episode(golden: Golden, which: str) -> Task:
    chosen = golden["k1_index"] if which == "k1" else torch.arange(len(golden["support_labels"]))
    support, query = features(golden["support_tokens"][chosen]), features(golden["query_tokens"])
    assert support.maps is not None
    assert query.maps is not None
    return Task(
        5,
        support.frames[None],
        query.frames[None],
        golden["support_labels"][chosen][None],
        support_maps=support.maps[None],
        query_maps=query.maps[None],
    )


def descriptors(golden: Golden, matcher: TSDCM) -> dict[str, Tensor]:
    """Compute the descriptors that the golden file holds."""
    ours = {}
    for part in ("support", "query"):
        ready = matcher.prepare(features(golden[f"{part}_tokens"])).frames
        ours[f"{part}_descriptor"] = ready[..., : -matcher.width]
    for name, alpha in (("03", 0.3), ("05", 0.5), ("10", 1.0)):
        alone = distance_covariance(golden["alone_patches"].mT, alpha=alpha)
        ours[f"alone_descriptor_a{name}"] = alone
    large = distance_covariance(golden["alone_patches_large"].mT, alpha=0.4)
    return ours | {"alone_large_descriptor_a04": large}


def test_every_golden_array_of_ts_dcm_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "ts_dcm", dtype)
    matcher, labels = published(golden), golden["query_labels"]
    ours = descriptors(golden, matcher)
    for which in ("k1", "kn"):
        scores = matcher(episode(golden, which)).logits[0]
        ours[f"scores_{which}"] = scores
        ours[f"loss_ce_{which}"] = functional.cross_entropy(scores, labels)
    ours["frame_matrix_kn"] = matcher.frame_cosines(prepared(matcher, episode(golden, "kn")))[0]
    (gradient,) = torch.autograd.grad(ours["loss_ce_kn"], [matcher.generator.weight])
    golden.assert_all_match(ours | {"grad_generator_kn": gradient}, others=OTHERS)


def by_loops(patches: Tensor, alpha: float, *, halved: bool = True) -> list[float]:
    """Describe one frame of (patches, channels)."""
    count, channels = patches.shape
    over = 2 * count if halved else count
    table = [
        [
            (float((patches[:, i] - patches[:, j]).square().sum()) / over + 1e-5) ** alpha
            for j in range(channels)
        ]
        for i in range(channels)
    ]
    rows = [sum(row) / channels for row in table]
    mean = sum(rows) / channels
    return [
        table[i][j] - rows[i] - rows[j] + mean for i in range(channels) for j in range(i, channels)
    ]


def assert_equals_loops(**wrong: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    patches = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    expected = torch.tensor(by_loops(patches, 0.4, **wrong), dtype=torch.float64)
    torch.testing.assert_close(distance_covariance(patches, alpha=0.4), expected)


def test_a_descriptor_is_that_of_plain_loops():
    assert_equals_loops()


def test_loops_with_whole_differences_are_told_apart():
    with pytest.raises(AssertionError):
        assert_equals_loops(halved=False)


def test_a_table_that_is_turned_is_told_apart(shared: Path, monkeypatch: pytest.MonkeyPatch):
    golden = Golden(shared, "ts_dcm", torch.float64)
    matcher, straight = published(golden), TSDCM.tables
    monkeypatch.setattr(TSDCM, "tables", lambda self, task: straight(self, task).mT)
    with pytest.raises(AssertionError):
        golden.assert_match({"scores_kn": matcher(episode(golden, "kn")).logits[0]})


@pytest.mark.parametrize("width", [None, 8])
def test_a_table_begins_even_and_positive(width: int | None):
    torch.manual_seed(0)
    matcher = TSDCM(16, frames=4, width=width)
    frames = torch.ones(1, 2, 4, 16)
    maps = torch.rand(1, 2, 16, 4, 2, 2)
    task = Task(2, frames, frames, torch.tensor([[0, 1]]), support_maps=maps, query_maps=maps)
    with torch.no_grad():
        tables = matcher.tables(prepared(matcher, task))
    torch.testing.assert_close(tables, torch.full_like(tables, 2 / 4))


def test_other_numbers_of_frames_are_a_mistake_of_ours():
    matcher = build("tsdcm", 4, frames=3, width=None)
    maps = torch.rand(1, 2, 4, 4, 2, 2)
    frames = maps.mean(dim=(4, 5)).transpose(2, 3)
    task = Task(2, frames, frames, torch.tensor([[0, 1]]), support_maps=maps, query_maps=maps)
    with pytest.raises(AssertionError, match="videos of 3 frames"):
        matcher(task)
    assert replace(task, way=2).way == 2
