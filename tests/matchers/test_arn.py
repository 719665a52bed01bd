"""ARN against oracles in numpy; each is seen to fail on a formula that is wrong in one place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasd.matchers import arn as module
from tasd.matchers import arn_attention
from tasd.matchers.arn import ARN, VARIANTS, Variant, alignment, power_normalised_correlation
from tasd.matchers.arn_attention import BLOCKS, Changed, permutations
from tasd.types import Features, Task
from tests.matchers import numpy_layers as plain
from tests.matchers.broken import assert_seen
from tests.matchers.numpy_layers import Array, array


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(channels: int = 64, **options) -> ARN:
    """Return one whose BatchNorm and weights are all of some size."""
    torch.manual_seed(0)
    matcher = ARN(channels, **options).double().eval()
    for part in matcher.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for parameter in matcher.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return matcher


def correlation(maps: Array, sigma: float) -> Array:
    """Eq. (5) with the sign of the codes: 2 / (1 + exp(-sigma M / trace M)) - 1."""
    channels, positions = len(maps), maps[0].size
    flat = maps.reshape(channels, positions)
    products = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            products[i, j] = sum(a * b for a, b in zip(flat[i], flat[j], strict=True)) / positions
    return 2 * plain.sigmoid(sigma * products / np.trace(products)) - 1


def related(matcher: ARN, support: Array, query: Array) -> float:
    """Eq. (3): the relation of two correlations before the sigmoid."""
    inner = np.stack([support, query])
    for number, (convolution, norm, _) in enumerate(matcher.relation.convolutions):
        made = plain.block(convolution, norm, inner)
        inner = plain.max_pooled(made if number == 0 else inner + made, 2, 2)
    hidden = np.maximum(plain.linear(matcher.relation.hidden, inner.reshape(-1)), 0)
    return float(plain.linear(matcher.relation.out, hidden)[0])


def spatial(matcher: ARN, maps: Array) -> Array:
    unit = matcher.spatial
    inner = plain.max_pooled(plain.block(*unit.first[:2], maps), 2, 1, 1)
    inner = plain.block(*unit.second[:2], inner)
    inner = plain.max_pooled(inner, len(inner[0]), 1, 1)
    return plain.sigmoid(plain.convolved(unit.last, inner))


def temporal(matcher: ARN, maps: Array) -> Array:
    unit = matcher.temporal
    inner = plain.block(*unit.first[:2], maps)
    if min(inner.shape[2:]) >= 16:
        inner = plain.max_pooled(inner, 1, 4, 4)
    inner = plain.block(*unit.second[:2], inner)
    inner = plain.max_pooled(inner, 1, *inner.shape[2:])
    return plain.sigmoid(plain.convolved(unit.last, inner))


def close(ours: Tensor, expected: Array | float) -> None:
    np.testing.assert_allclose(array(ours), expected, rtol=1e-9, atol=1e-11)


def test_a_video_is_the_normalised_correlation_of_its_channels():
    maps = random(2, 6, 3, 4, 2)
    ours = power_normalised_correlation(maps, sigma=7.0)
    for video in range(2):
        close(ours[video], correlation(array(maps[video]), 7.0))


def test_a_correlation_does_not_depend_on_the_order_of_times_and_positions():
    maps = random(2, 64, 5, 6, 7)
    shuffled = maps.flatten(2)[:, :, torch.randperm(210)].view(maps.shape)
    one, other = (power_normalised_correlation(m, sigma=100.0) for m in (maps, shuffled))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    diagonal = one.diagonal(dim1=1, dim2=2)
    assert 0 < diagonal.min() < diagonal.max() < 1


def test_maps_of_zeros_have_a_correlation_and_a_finite_gradient():
    maps = torch.zeros(1, 4, 2, 2, 2, requires_grad=True)
    pooled = power_normalised_correlation(maps, sigma=100.0)
    pooled.sum().backward()
    assert pooled.isfinite().all()
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize("time", [1, 2, 4, 5, 8])
def test_attention_weighs_positions_and_times(time: int):
    matcher, maps = built(variant="ta_sa", a_s=1.5, a_t=0.25), random(1, 64, time, 16, 17)
    ours = matcher.attended(maps)
    if time > 1:
        expected = array(maps[0]) * (1.5 + spatial(matcher, array(maps[0])))
        expected = expected * (0.25 + temporal(matcher, array(maps[0])))
        close(ours[0], expected)
    assert ours.shape == maps.shape


def test_small_maps_are_not_pooled_by_the_temporal_unit():
    matcher, maps = built(variant="ta", a_t=0.5), random(1, 64, 4, 7, 7)
    close(matcher.attended(maps)[0], array(maps[0]) * (0.5 + temporal(matcher, array(maps[0]))))


@pytest.mark.parametrize(("variant", "factor"), [("sa", 1.5), ("ta", 1.0), ("ta_sa", 1.5)])
def test_attention_without_weights_is_half(variant: Variant, factor: float):
    matcher, maps = ARN(64, variant=variant), random(1, 64, 4, 8, 8).float()
    for parameter in matcher.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(matcher.eval().attended(maps), factor * maps)


def test_scores_are_relations_of_the_query_to_the_mean_support():
    matcher = built(variant="none")
    support, query = random(1, 3, 64, 64).tanh(), random(1, 2, 64, 64, seed=1).tanh()
    task = Task(2, support, query, torch.tensor([[1, 0, 1]]))
    ours = matcher.compare(task).logits
    classes = [array(support[0, 1]), array(support[0, [0, 2]]).mean(axis=0)]
    expected = [[related(matcher, own, array(q)) for own in classes] for q in query[0]]
    close(ours[0], plain.sigmoid(np.array(expected)))
    bare = built(variant="none", loss="ce").compare(task).logits
    close(bare[0], np.array(expected))


def test_many_pairs_are_compared_as_few_are():
    matcher = built(variant="none")
    support, query = random(2, 5, 64, 64), random(2, 9, 64, 64, seed=1)
    labels = torch.arange(5).expand(2, -1)
    all_at_once = matcher.compare(Task(5, support, query, labels)).logits
    for row in range(9):
        one = matcher.compare(Task(5, support, query[:, [row]], labels)).logits
        torch.testing.assert_close(all_at_once[:, [row]], one)


def test_the_loss_is_the_mean_squared_error_of_the_relations():
    scores, labels = random(2, 3, 4), torch.tensor([[0, 3, 1], [2, 2, 0]])
    total = 0.0
    for episode in range(2):
        for query in range(3):
            for way in range(4):
                wanted = float(labels[episode, query] == way)
                total += (float(scores[episode, query, way]) - wanted) ** 2
    close(module.relation_error(scores, labels), total / 24)


def test_the_ten_permutations_differ_and_the_first_changes_nothing():
    found = permutations()
    assert found[0] == (0, 1, 2, 3)
    assert len(set(found)) == 10
    assert all(sorted(order) == list(range(BLOCKS)) for order in found)
    distances = [sum(a != b for a, b in zip(x, y, strict=True)) for x in found for y in found]
    assert sum(distances) / 90 >= 3.0  # of ten at random: 3 on average


def changed_by_hand(kind: str, label: int, clip: Array) -> Array:
    """Change (..., time, rows, columns)."""
    order = permutations()[label] if kind != "rotation" else ()
    if kind == "rotation":
        for _ in range(label):
            clip = np.swapaxes(clip, -1, -2)[..., ::-1, :]
        return clip
    time, rows, columns = clip.shape[-3:]
    found = clip.copy()
    for t in range(time):
        for r in range(rows):
            for c in range(columns):
                from_t, from_r, from_c = t, r, c
                if kind == "temporal_jigsaw" and t < time // 4 * 4:
                    from_t = order[t // (time // 4)] * (time // 4) + t % (time // 4)
                high, wide = rows // 2, columns // 2
                if kind == "spatial_jigsaw" and r < 2 * high and c < 2 * wide:
                    region = order[2 * (r // high) + c // wide]
                    from_r = region // 2 * high + r % high
                    from_c = region % 2 * wide + c % wide
                found[..., t, r, c] = clip[..., from_t, from_r, from_c]
    return found


@pytest.mark.parametrize("kind", ["rotation", "spatial_jigsaw", "temporal_jigsaw"])
def test_clips_are_rotated_and_shuffled(kind):
    labels = torch.arange(4 if kind == "rotation" else 10)
    clips = random(len(labels), 3, 9, 5, 5)
    ours = Changed(kind, labels).of(clips)
    for label, clip in zip(labels.tolist(), clips, strict=True):
        close(ours[label], changed_by_hand(kind, label, array(clip)))
    assert torch.equal(ours[0], clips[0])
    assert not any(torch.equal(a, b) for a, b in zip(ours[1:], clips[1:], strict=True))


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["rotation", "spatial_jigsaw", "temporal_jigsaw"])
def test_alignment_is_the_difference_of_the_changed_attention(kind, margin: float):
    labels = torch.tensor([2, 0, 3])
    clean, seen = random(3, 1, 4, 6, 6), random(3, 1, 4, 6, 6, seed=1)
    squares = []
    for label, own, other in zip(labels.tolist(), array(clean), array(seen), strict=True):
        difference = np.abs(changed_by_hand(kind, label, own) - other)
        squares.append((difference - margin) ** 2)
    close(alignment(Changed(kind, labels), clean, seen, margin=margin), np.mean(squares))


@pytest.mark.parametrize("kind", ["rotation", "spatial_jigsaw", "temporal_jigsaw"])
def test_attention_of_any_size_is_aligned(kind):
    changed = Changed(kind, torch.tensor([1, 3]))
    weights = random(2, 1, 5, 7, 6)
    assert alignment(changed, weights, weights + 1, margin=0.0).isfinite()
    fitted = changed.fitted(weights)
    assert fitted.shape[2:] == {
        "rotation": (5, 7, 7), "spatial_jigsaw": (5, 8, 6), "temporal_jigsaw": (8, 7, 6)
    }[kind]  # fmt: skip


def training_task(channels: int = 64, side: int = 8) -> tuple[Task, list[Tensor]]:
    """Return a task whose backbone keeps the pixels, spread over the channels; and what it saw."""
    spread, seen = random(channels, 3), []

    def encode(pixels: Tensor) -> Tensor:
        seen.append(pixels)
        return torch.einsum("cp,vtphw->vcthw", spread, pixels)

    pixels = random(1, 4, 4, 3, side, side)
    maps = encode(pixels[0])[None]
    frames = maps.mean(dim=(4, 5)).transpose(2, 3)
    return Task(
        2,
        frames[:, :2],
        frames[:, 2:],
        torch.tensor([[0, 1]]),
        support_maps=maps[:, :2],
        query_maps=maps[:, 2:],
        query_labels=torch.tensor([[1, 0]]),
        support_pixels=pixels[:, :2],
        query_pixels=pixels[:, 2:],
        encode=encode,
    ), seen


@pytest.mark.parametrize("variant", ["tsa", "ssa_jigsaw", "ssa_rotation"])
def test_the_losses_of_self_supervision_are_of_the_changed_clips(variant: Variant):
    matcher = built(variant=variant)
    task, seen = training_task()
    torch.manual_seed(3)
    losses = matcher(task).losses
    kind = VARIANTS[variant].change
    torch.manual_seed(3)
    labels = torch.randint(4 if kind == "rotation" else 10, (4,))
    clean, other = seen
    expected, logits, aligned = [], [], []
    for label, clip in zip(labels.tolist(), clean, strict=True):
        moved = changed_by_hand(kind, label, array(clip.transpose(0, 1)))
        expected.append(np.swapaxes(moved, 0, 1))
        maps = array(task.encode(torch.from_numpy(expected[-1].copy())[None])[0])
        unit = temporal if kind == "temporal_jigsaw" else spatial
        before = array(task.encode(clip[None])[0])
        own = changed_by_hand(kind, label, unit(matcher, before))
        aligned.append((own - unit(matcher, maps)) ** 2)
        logits.append(discriminated(matcher, maps))
    close(other, np.stack(expected))
    close(losses["alignment"], np.mean(aligned))
    close(losses["self_supervision"], plain.cross_entropy(np.stack(logits), labels.numpy()))


def discriminated(matcher: ARN, maps: Array) -> Array:
    """Reduce by a convolution of stride 2, average to 2 x 4 x 4, classify."""
    reduce = matcher.discriminator.reduce
    inner = plain.block(*reduce[:2], maps)
    assert inner.shape[1:] == (2, 4, 4)  # of 4 x 8 x 8: nothing is averaged
    return plain.linear(matcher.discriminator.out, inner.reshape(-1))


def test_a_clip_that_is_not_changed_is_aligned(monkeypatch: pytest.MonkeyPatch):
    matcher = built(variant="ssa_rotation")
    monkeypatch.setattr(torch, "randint", lambda high, size: torch.zeros(size, dtype=torch.int64))
    assert matcher(training_task()[0]).losses["alignment"] == 0


def test_maps_of_another_width_are_reduced_first():
    matcher, maps = built(16, variant="none"), random(1, 16, 2, 3, 3)
    inner = plain.block(*matcher.reduce[:2], array(maps[0]))
    ours = matcher.prepare(Features(maps.mean(dim=(3, 4)).mT, maps)).frames
    close(ours[0], correlation(inner, 100.0))
    assert isinstance(ARN(64).reduce, nn.Identity)


def test_support_and_query_are_one_batch():
    matcher = built(16, variant="sa").train()
    task = training_task(16)[0]
    one = matcher(replace(task, encode=None)).logits
    pooled = matcher.pooled(
        matcher.reduce(torch.cat([task.support_maps, task.query_maps], dim=1)[0])
    )
    whole = matcher.compare(Task(2, pooled[None, :2], pooled[None, 2:], task.support_labels)).logits
    torch.testing.assert_close(one, whole)


def test_it_starts_as_its_ancestor():
    matcher = ARN(64)
    weight = matcher.relation.convolutions[1][0].weight
    assert float(weight.detach().std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert float(matcher.discriminator.out.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert torch.equal(matcher.relation.out.bias, torch.ones(1))


def wrong_sign(maps: Tensor, *, sigma: float) -> Tensor:
    return -module.power_normalised_correlation(maps, sigma=sigma)


def without_trace(maps: Tensor, *, sigma: float) -> Tensor:
    flat = maps.flatten(2)
    return torch.tanh(sigma / 2 * flat @ flat.mT / flat.shape[2])


TIMES = test_attention_weighs_positions_and_times
# A place, what is wrong there, and the test that sees it.
BROKEN = [
    ("module.ARN.attended", lambda self, maps: maps, lambda: TIMES(4)),
    (
        "arn_attention.SMALL", 1, test_small_maps_are_not_pooled_by_the_temporal_unit
    ),
    (
        "module.class_means",
        lambda values, labels, way: 2 * torch.stack([values[:, 1], values[:, 0]], dim=1),
        test_scores_are_relations_of_the_query_to_the_mean_support,
    ),
    (
        "module.functional.mse_loss",
        lambda a, b: (a - b).square().sum(),
        test_the_loss_is_the_mean_squared_error_of_the_relations,
    ),
    (
        "module.alignment",
        lambda changed, clean, seen, margin: (clean - seen).square().mean(),
        lambda: test_the_losses_of_self_supervision_are_of_the_changed_clips("ssa_rotation"),
    ),
    (
        "arn_attention._shuffled_regions",
        lambda clip, order: clip.flip(-1),
        lambda: test_clips_are_rotated_and_shuffled("spatial_jigsaw"),
    ),
    (
        "arn_attention._shuffled_blocks",
        lambda clip, order: clip.flip(-3),
        lambda: test_clips_are_rotated_and_shuffled("temporal_jigsaw"),
    ),
    (
        "module.Changed.of",
        lambda self, clips: clips,
        lambda: test_alignment_is_the_difference_of_the_changed_attention("rotation", 0.0),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (wrong_sign, test_a_video_is_the_normalised_correlation_of_its_channels),
        (without_trace, test_a_video_is_the_normalised_correlation_of_its_channels),
    ],
)
def test_a_wrong_correlation_is_seen(monkeypatch, wrong, seen):
    monkeypatch.setitem(seen.__globals__, "power_normalised_correlation", wrong)
    with pytest.raises(AssertionError):
        seen()


@pytest.mark.parametrize(("place", "wrong", "seen"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_wrong_formula_is_seen(monkeypatch, place: str, wrong, seen):
    known = {"module": module, "arn_attention": arn_attention}
    first, _, path = place.partition(".")
    assert_seen(monkeypatch, known[first], path, wrong, seen)
