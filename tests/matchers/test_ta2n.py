from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers.base import prepared
from tasd.matchers.ta2n import TA2N
from tasd.matchers.ta2n_offsets import Pairs, SpatialOffsets, axis_masks, pooled
from tasd.matchers.ta2n_warp import pool_by_two, warped
from tasd.types import Task
from tests.matchers.golden import Golden

NAMES = {
    "align.secondstage.keynet": "key",
    "align.secondstage.querynet": "query",
    "align.secondstage.valuenet": "value",
    "align.keynet_multi": "fuse_key",
    "align.querynet_multi": "fuse_query",
    "align.valuenet_multi": "fuse_value",
}
STAGES = {"firststage.locnet": "transform", "secondstage.mvnet": "offsets"}
LAYERS = {"0": "conv1", "1": "norm1", "4": "conv2", "5": "norm2", "10": "hidden", "12": "out"}


def published(golden: Golden) -> TA2N:
    renamed = dict(NAMES)
    for theirs, ours in STAGES.items():
        for layer, name in LAYERS.items():
            renamed[f"align.{theirs}.{layer}"] = f"{ours}.{name}"
    matcher = TA2N(32, reference="first")
    weights = golden.weights(renamed)
    for name in NAMES.values():
        weights[f"{name}.weight"] = weights[f"{name}.weight"].squeeze(2)
    missing = matcher.load_state_dict(weights, strict=False)
    assert all("num_batches_tracked" in name for name in missing.missing_keys)
    assert not missing.unexpected_keys
    return matcher.to(golden.dtype).eval()


@torch.no_grad()
def test_every_golden_array_of_ta2n_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "ta2n", dtype)
    matcher = published(golden)
    ours = {}
    for which in ("k1", "kn"):
        task = golden.task(which)
        assert task.support_maps is not None
        assert task.query_maps is not None
        aligned = matcher.align(task)
        support = matcher.transform(task.support_maps[0])
        ours[f"logits_{which}"] = matcher(task).logits
        ours[f"theta_support_{which}"] = matcher.transform.parameters_of(task.support_maps[0])
        ours[f"theta_query_{which}"] = matcher.transform.parameters_of(task.query_maps[0])
        ours[f"warped_support_mean_{which}"] = support.mean(dim=(3, 4))
        ours[f"offsets_{which}"] = aligned.offsets[0]
        if which == "k1":
            pair = torch.cat([aligned.support, aligned.query], dim=4)
            ours["aligned_pairs_k1"] = pair[0].mT
    golden.assert_all_match(ours, others=["perturb"])


def test_the_default_reference_is_that_of_one_shot_and_forgets_the_order_of_several(shared: Path):
    golden = Golden(shared, "ta2n", torch.float64)
    first, mean = published(golden), published(golden)
    mean.reference = "mean"
    task = golden.task("kn")
    turned = replace(
        task,
        support=task.support.flip(1),
        support_labels=task.support_labels.flip(1),
        support_maps=None if task.support_maps is None else task.support_maps.flip(1),
    )
    with torch.no_grad():
        torch.testing.assert_close(mean(golden.task("k1")).logits, golden["logits_k1"])
        torch.testing.assert_close(mean(turned).logits, mean(task).logits)
        assert not torch.allclose(first(turned).logits, first(task).logits, rtol=0, atol=1e-6)


def explicit_offsets(offsets: SpatialOffsets, pairs: Pairs) -> Tensor:
    """Run the same network on the maps of every pair, put side by side."""
    brought = pairs.attention @ pairs.query_values[:, None]
    query = pairs.query_maps[:, None] + brought.mT[..., None, None]
    support = pairs.support_maps + pairs.support_added.mT[..., None, None]
    both = torch.cat([support[:, :, None].expand_as(query), query], dim=3).flatten(0, 2)
    maps = functional.relu(pool_by_two(offsets.norm1(offsets.conv1(both)), over_time=False))
    maps = functional.relu(pool_by_two(offsets.norm2(offsets.conv2(maps)), over_time=False))
    hidden = functional.relu(offsets.hidden(maps.amax(dim=(3, 4))))
    predicted = 0.75 * torch.tanh(offsets.out(hidden)).mT
    return predicted.reshape(*pairs.attention.shape[:4], 2)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (1, 4), (7, 7)])
@pytest.mark.parametrize("time", [1, 4])
def test_the_convolution_taken_apart_is_that_of_pairs(size: tuple[int, int], time: int):
    torch.manual_seed(2)
    offsets = SpatialOffsets(3).double().eval()
    torch.nn.init.normal_(offsets.out.weight)
    pairs = Pairs(
        support_maps=torch.randn(2, 3, 3, time, *size, dtype=torch.float64),
        query_maps=torch.randn(2, 2, 3, time, *size, dtype=torch.float64),
        support_added=torch.randn(2, 3, time, 3, dtype=torch.float64),
        query_values=torch.randn(2, 2, time, 3, dtype=torch.float64),
        attention=torch.rand(2, 3, 2, time, time, dtype=torch.float64),
    )
    halves = []
    for maps, side in ((pairs.support_maps, "support"), (pairs.query_maps, "query")):
        half = offsets.convolved(maps.flatten(0, 1), side)
        halves.append(half.reshape(*maps.shape[:2], *half.shape[1:]))
    torch.testing.assert_close(offsets(pairs, *halves), explicit_offsets(offsets, pairs))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (1, 4), (7, 7)])
@pytest.mark.parametrize("time", [1, 4])
@torch.no_grad()
def test_prepared_videos_score_as_their_maps_do(size: tuple[int, int], time: int):
    torch.manual_seed(2)
    matcher = TA2N(3).double().eval()
    for norm in (matcher.offsets.norm1, matcher.offsets.norm2):
        for value in (norm.weight, norm.bias, norm.running_mean):
            assert value is not None
            torch.nn.init.normal_(value)
    torch.nn.init.normal_(matcher.offsets.out.weight)
    support = torch.randn(2, 3, 3, time, *size, dtype=torch.float64)
    query = torch.randn(2, 2, 3, time, *size, dtype=torch.float64)
    task = Task(
        way=3,
        support=support.mean(dim=(4, 5)).mT,
        query=query.mean(dim=(4, 5)).mT,
        support_labels=torch.tensor([[1, 2, 0], [0, 1, 2]]),
        support_maps=support,
        query_maps=query,
    )
    torch.testing.assert_close(
        matcher.compare(prepared(matcher, task)).logits, matcher(task).logits
    )


def test_no_offset_pools_the_whole_map_and_an_offset_the_far_side_of_it():
    maps = torch.arange(7.0).expand(1, 1, 1, 1, 7, 7).contiguous()  # column numbers
    middle = pooled(maps, torch.zeros(1, 1, 1, 1, 2))
    right = pooled(maps, torch.tensor([0.75, 0.0]).expand(1, 1, 1, 1, 2))
    down = pooled(maps, torch.tensor([0.0, 0.75]).expand(1, 1, 1, 1, 2))
    assert middle.item() == pytest.approx(3)
    assert right.item() < 2.5
    assert down.item() == pytest.approx(3)


@pytest.mark.parametrize("cells", [1, 2, 4, 7])
def test_masks_sum_to_one_for_every_offset(cells: int):
    masks = axis_masks(torch.linspace(-0.75, 0.75, 11), cells=cells)
    assert masks.shape == (11, cells)
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(11))


def test_no_warp_leaves_a_video_and_a_shift_leaves_zeros_behind():
    maps = torch.randn(2, 3, 5, 2, 2, dtype=torch.float64)
    still = warped(maps, torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(2, 2))
    torch.testing.assert_close(still, maps)
    later = warped(maps, torch.tensor([[1.0, 0.5]], dtype=torch.float64).expand(2, 2))
    torch.testing.assert_close(later[:, :, :4], maps[:, :, 1:])
    assert not later[:, :, 4].any()


def test_training_starts_with_hardly_a_warp_and_no_offset():
    matcher = TA2N(4).eval()
    maps = torch.randn(2, 4, 3, 2, 2)
    parameters = matcher.transform.parameters_of(maps)
    expected = torch.tanh(torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(parameters, expected.expand(2, 2))
