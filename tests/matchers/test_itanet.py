"""ITANet against oracles in numpy; each is seen to fail on a formula that is wrong in one place."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasd.errors import UserError
from tasd.matchers import itanet as module
from tasd.matchers import itanet_context
from tasd.matchers.arithmetic import class_means
from tasd.matchers.itanet import ITANet
from tasd.types import Features, Task
from tests.matchers import numpy_layers as plain
from tests.matchers.broken import assert_seen
from tests.matchers.numpy_layers import Array, array

CHANNELS, WIDTH, TIME, SIDE = 6, 8, 4, 5
LABELS = torch.tensor([[1, 0, 1]])


def built(**options) -> ITANet:
    """Return a small one whose parts all add something."""
    torch.manual_seed(0)
    given = {"width": WIDTH, "groups": 2, "heads": 2, **options}
    matcher = ITANet(CHANNELS, **given).double().eval()
    for part in matcher.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for parameter in matcher.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return matcher


def task(*, training: bool = False, side: int = SIDE) -> Task:
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(1, 5, CHANNELS, TIME, side, side, generator=generator, dtype=torch.float64)
    frames = maps.mean(dim=(4, 5)).transpose(2, 3)
    classes = torch.tensor([[4, 2, 4, 2, 4]])
    known = {"support_classes": classes[:, :3], "query_classes": classes[:, 3:]}
    return Task(
        2, frames[:, :3], frames[:, 3:], LABELS, support_maps=maps[:, :3], query_maps=maps[:, 3:],
        **(known if training else {}),
    )  # fmt: skip


def spatial_context(part: nn.Module, frame: Array) -> Array:
    """Weigh by the softmax over positions of q' k / sqrt(d / 2), one position after the other."""
    flat = frame.reshape(len(frame), -1)
    query, key, value = (plain.convolved(c, flat) for c in (part.query, part.key, part.value))
    found = np.zeros_like(value)
    for asks in range(flat.shape[1]):
        scores = [query[:, asks] @ key[:, seen] for seen in range(flat.shape[1])]
        weights = plain.softmax(np.array(scores) / math.sqrt(len(frame) / 2))
        for seen, weight in enumerate(weights):
            found[:, asks] += weight * value[:, seen]
    return found.reshape(frame.shape)


def channel_context(part: nn.Module, frame: Array) -> Array:
    """Weigh by the softmax over groups of q k' / 8; a group's value is its map."""
    groups = np.split(frame, part.groups)
    cells = [averaged(group).reshape(-1) for group in groups]
    query = [plain.linear(part.query, tokens) for tokens in cells]
    key = [plain.linear(part.key, tokens) for tokens in cells]
    found = []
    for asks in query:
        weights = plain.softmax(np.array([asks @ seen for seen in key]) / 8)
        found.append(sum(w * group for w, group in zip(weights, groups, strict=True)))
    return np.concatenate(found)


def averaged(maps: Array, side: int = 7) -> Array:
    """Average to 7 x 7: cell i is the mean from floor(i n / 7) to ceil((i + 1) n / 7)."""
    found = np.zeros((len(maps), side, side))
    ends = [[(i * n // side, -(-(i + 1) * n // side)) for i in range(side)] for n in maps.shape[1:]]
    for r, (top, bottom) in enumerate(ends[0]):
        for c, (left, right) in enumerate(ends[1]):
            found[:, r, c] = maps[:, top:bottom, left:right].mean(axis=(1, 2))
    return found


def in_context(matcher: ITANet, maps: Array) -> Array:
    """Return f of each frame: the mean over positions of F + W_s F_s + W_c F_c."""
    reduced = plain.block(matcher.reduction.convolution, matcher.reduction.norm, maps)
    found = []
    for time in range(maps.shape[1]):
        frame = reduced[:, time]
        total = frame.copy()
        contexts, merges = matcher.context.contexts, matcher.context.merges
        for name, oracle in (("spatial", spatial_context), ("channel", channel_context)):
            if name in contexts:
                merge = merges[name]
                mixed = plain.convolved(merge.convolution, oracle(contexts[name], frame))
                total += plain.normalised(merge.norm, mixed)
        found.append(total.mean(axis=(1, 2)))
    return np.stack(found)


def aligned(matcher: ITANet, frames: Array) -> Array:
    """Return y = f + MHSA(LN(f) + P), head by head."""
    unit = matcher.alignment
    time, width = frames.shape
    centred = frames - frames.mean(axis=1, keepdims=True)
    placed = centred / np.sqrt(frames.var(axis=1, keepdims=True) + unit.norm.eps)
    placed = placed * array(unit.norm.weight) + array(unit.norm.bias)
    for t in range(time):
        for i in range(0, width, 2):
            angle = t / 10_000 ** (i / width)
            placed[t, i] += float(unit.position_scale) * math.sin(angle)
            placed[t, i + 1] += float(unit.position_scale) * math.cos(angle)
    weight, bias = array(unit.attention.in_proj_weight), array(unit.attention.in_proj_bias)
    query, key, value = np.split(placed @ weight.T + bias, 3, axis=1)
    heads = []
    for own in np.split(np.arange(width), unit.attention.num_heads):
        scores = query[:, own] @ key[:, own].T / math.sqrt(len(own))
        heads.append(plain.softmax(scores) @ value[:, own])
    return frames + plain.linear(unit.attention.out_proj, np.concatenate(heads, axis=1))


def encoded(matcher: ITANet, given: Task) -> list[Array]:
    """Return y of all videos, support first."""
    maps = torch.cat([given.support_maps, given.query_maps], dim=1)[0]
    return [aligned(matcher, in_context(matcher, array(video))) for video in maps]


def cosine(one: Array, other: Array) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def close(ours: Tensor, expected) -> None:
    np.testing.assert_allclose(array(ours), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("side", [7, SIDE, 9])
@torch.no_grad()
def test_scores_are_cosines_of_frames_at_equal_places(side: int):
    matcher, given = built(), task(side=side)
    videos = encoded(matcher, given)
    scale = math.exp(float(matcher.log_scale))
    pairs = np.array(
        [[np.mean([cosine(q[t], s[t]) for t in range(TIME)]) for s in videos[:3]]
         for q in videos[3:]]
    )  # fmt: skip
    expected = scale * np.stack([pairs[:, 1], pairs[:, [0, 2]].mean(axis=1)], axis=1)
    close(matcher(given).logits[0], expected)


@torch.no_grad()
def test_each_context_alone_is_the_oracles():
    given = task()
    for off in ("spatial", "channel"):
        matcher = built(**{off: False})
        maps = given.query_maps[0]
        ours = matcher.context(matcher.reduction(maps))
        close(ours, [in_context(matcher, array(video)) for video in maps])


@torch.no_grad()
def test_the_losses_classify_the_mean_frame_and_each_frame():
    matcher, given = built(classes=5), task(training=True)
    losses = matcher(given).losses
    videos, classes = encoded(matcher, given), [4, 2, 4, 2, 4]
    means = [plain.linear(matcher.classifier, video.mean(axis=0)) for video in videos]
    close(losses["video"], plain.cross_entropy(np.stack(means), np.array(classes)))
    each = np.concatenate([plain.linear(matcher.classifier, video) for video in videos])
    close(losses["frame"], plain.cross_entropy(each, np.repeat(classes, TIME)))


@torch.no_grad()
def test_modules_at_zero_leave_the_mean_cosine_of_equal_places():
    matcher, given = ITANet(CHANNELS, width=WIDTH, groups=2, heads=2).double().eval(), task()
    nn.init.zeros_(matcher.alignment.attention.out_proj.weight)
    nn.init.zeros_(matcher.alignment.attention.out_proj.bias)
    bare = ITANet(
        CHANNELS, width=WIDTH, spatial=False, channel=False, temporal=False
    ).double().eval()  # fmt: skip
    missing = bare.load_state_dict(matcher.state_dict(), strict=False)
    assert not missing.missing_keys
    mapped = Features(given.support[0], given.support_maps[0])
    reduced = matcher.reduction(mapped.maps).mean(dim=(3, 4)).mT
    torch.testing.assert_close(matcher.prepare(mapped).frames, bare.directions(reduced))


@torch.no_grad()
def test_the_authors_baseline_is_the_mean_over_all_pairs_of_frames():
    matcher = ITANet(
        CHANNELS, width=None, spatial=False, channel=False, temporal=False, pairs="all"
    ).double().eval()  # fmt: skip
    given = task()
    expected = np.zeros((2, 3))
    for q, s in np.ndindex(2, 3):
        query, support = array(given.query[0, q]), array(given.support[0, s])
        expected[q, s] = np.mean([cosine(a, b) for a in query for b in support])
    by_class = np.stack([expected[:, 1], expected[:, [0, 2]].mean(axis=1)], axis=1)
    close(matcher(given).logits[0], 10 * by_class)
    assert [name for name, _ in matcher.named_parameters()] == ["log_scale"]


@torch.no_grad()
def test_the_order_of_frames_counts_with_positions_alone():
    matcher, given = built(), task()
    order = torch.tensor([2, 0, 3, 1])
    turned = Task(
        2,
        given.support[:, :, order],
        given.query[:, :, order],
        LABELS,
        support_maps=given.support_maps[:, :, :, order],
        query_maps=given.query_maps[:, :, :, order],
    )
    assert not torch.allclose(matcher(given).logits, matcher(turned).logits, atol=1e-4)
    matcher.alignment.position_scale.zero_()
    torch.testing.assert_close(matcher(given).logits, matcher(turned).logits)


def test_gradients_reach_the_positions():
    matcher = built()
    matcher(task()).logits[0, 0, 0].backward()
    assert matcher.alignment.position_scale.grad.abs() > 1e-6


@torch.no_grad()
def test_one_group_of_channels_is_the_identity():
    context = itanet_context.ChannelContext(WIDTH, groups=1).double()
    frames = torch.randn(3, WIDTH, SIDE, SIDE, dtype=torch.float64)
    torch.testing.assert_close(context(frames), frames)


def test_the_scale_is_learnt_and_stays_in_its_range():
    matcher, given = built(scale=20.0), task()
    assert math.exp(ITANet(CHANNELS, width=WIDTH, scale=20.0).log_scale.item()) == pytest.approx(20)
    with torch.no_grad():
        unit = matcher(given).logits / matcher.log_scale.exp()
        for exponent, scale in ((9.0, 100.0), (-9.0, 1.0)):
            matcher.log_scale.fill_(exponent)
            torch.testing.assert_close(matcher(given).logits, scale * unit)


def test_without_contexts_no_maps_are_read():
    matcher, given = built(spatial=False, channel=False), task()
    assert not matcher.needs_maps
    bare = Task(2, given.support, given.query, LABELS)
    torch.testing.assert_close(matcher(bare).logits, matcher(given).logits)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 3}, "'groups' of matcher 'itanet' is 3, which does not divide its 8 channels"),
        ({"heads": 5}, "'heads' of matcher 'itanet' is 5"),
        ({"width": None, "heads": 4}, "'heads' of matcher 'itanet' is 4, .* its 6 channels"),
    ],
)
def test_options_that_do_not_divide_are_refused(options, message: str):
    with pytest.raises(UserError, match=message):
        built(**options)


def of_all(values, labels, *, way):
    return class_means(values.transpose(1, 2), labels, way=way).transpose(1, 2) * 2


SCORES = test_scores_are_cosines_of_frames_at_equal_places
BROKEN = [
    ("module.shot_means", of_all, lambda: SCORES(7)),
    ("module.TINY", 0.5, lambda: SCORES(7)),
    ("module.waves", lambda time, exponents: torch.zeros(time, len(exponents)), lambda: SCORES(7)),
    ("itanet_context.KEYS", 16, lambda: SCORES(7)),
    ("itanet_context.functional.adaptive_avg_pool2d",
     lambda frames, side: frames[:, :, :side, :side], lambda: SCORES(9)),
    ("itanet_context.math", SimpleNamespace(sqrt=float), lambda: SCORES(7)),
    ("itanet_context.Merge.forward", lambda self, x: self.convolution(x),
     test_each_context_alone_is_the_oracles),
    ("module.functional.cross_entropy", lambda logits, labels: -logits[0, labels[0]],
     test_the_losses_classify_the_mean_frame_and_each_frame),
    ("module.ITANet.directions", lambda self, frames: frames, lambda: SCORES(7)),
]  # fmt: skip


@pytest.mark.parametrize(("place", "wrong", "seen"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_wrong_formula_is_seen(monkeypatch, place: str, wrong, seen):
    known = {"module": module, "itanet_context": itanet_context}
    first, _, path = place.partition(".")
    assert_seen(monkeypatch, known[first], path, wrong, seen)
