from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers import hcl_losses, hcl_zoom
from tasd.matchers.hcl import HCL
from tasd.matchers.hcl_encoder import GridPositions
from tasd.matchers.hcl_zoom import Descriptors, similarities
from tasd.types import Features, Task
from tests.matchers.golden import Golden

LAYER = "st_transformer_encoder.transformer_encoder.layers.0"
POSITIONS = "st_transformer_encoder.pos_encoder"
NAMES = {
    f"{LAYER}.self_attn": "encoder.layers.0.attention",
    f"{LAYER}.self_attn.out_proj": "encoder.layers.0.attention.out_proj",
    f"{LAYER}.linear1": "encoder.layers.0.widen",
    f"{LAYER}.linear2": "encoder.layers.0.narrow",
    f"{LAYER}.norm1": "encoder.layers.0.norm_attention",
    f"{LAYER}.norm2": "encoder.layers.0.norm_feedforward",
    "st_transformer_encoder.input_proj": "encoder.project",
    f"{POSITIONS}.temp_embed.weight": "encoder.positions.time",
    f"{POSITIONS}.col_embed.weight": "encoder.positions.column",
    f"{POSITIONS}.row_embed.weight": "encoder.positions.row",
    "action_classifier": "classifier",
    "bi_linear": "join",
    "temp_linear": "of_clips",
    "spa_linear": "of_patches",
    "norm_temp": "norm_clips",
    "norm_spa": "norm_patches",
}
INPUTS = (
    "train_maps",
    "train_labels",
    "heads",
    *(f"test_{part}_{what}" for part in ("support", "query") for what in ("hs", "labels")),
)


def published(golden: Golden) -> HCL:
    maps, hs, logits = golden["train_maps"], golden["hs"], golden["class_logits"]
    matcher = HCL(
        maps.shape[2],
        width=hs.shape[3],
        heads=int(golden.number("heads")),
        classes=logits.shape[1],
        spatial_cycle=True,
    )
    weights = golden.weights(NAMES)
    weights["encoder.project.weight"] = weights["encoder.project.weight"].flatten(1)
    matcher.load_state_dict(weights)
    return matcher.to(golden.dtype).eval()


def training_task(golden: Golden) -> Task:
    """Videos 2c as supports, 2c + 1 as queries."""
    maps = golden["train_maps"].transpose(1, 2)[None]
    frames, classes = maps.mean(dim=(4, 5)).mT, golden["train_labels"][None]
    labels = torch.arange(maps.shape[1] // 2)[None]
    return Task(
        len(labels[0]),
        frames[:, ::2],
        frames[:, 1::2],
        labels,
        support_maps=maps[:, ::2],
        query_maps=maps[:, 1::2],
        query_labels=labels,
        support_classes=classes[:, ::2],
        query_classes=classes[:, 1::2],
    )


def of_training(golden: Golden, matcher: HCL) -> dict[str, Tensor]:
    tokens = matcher.encoder(golden["train_maps"].transpose(1, 2))
    videos = matcher.unpack(matcher.describe(tokens)[None])
    found = matcher.similarities(videos, videos, zoom=1)
    off_diagonal = 1 - torch.eye(tokens.shape[0], dtype=golden.dtype)  # the code masks it
    losses = matcher(training_task(golden)).losses
    weights = {"classifier": 1, "global": 1, "temporal": 0.5, "spatial": 0.5}
    weights["temporal_cycle"] = 0.25
    return {
        "hs": tokens,
        "pos_embed": matcher.encoder.positions(time=8, height=7, width=7),
        "clip": videos.clips[0],
        "patch": videos.patches[0],
        "glob": videos.whole[0],
        "class_logits": matcher.class_logits(tokens),
        "pair_sim_glob": found.whole[0],
        "pair_sim_temp": found.clips[0] * off_diagonal,
        "pair_sim_spa": found.patches[0] * off_diagonal,
        "loss_ce": losses["classifier"],
        "loss_temp_cycle": losses["temporal_cycle"],
        "loss_spa_cycle": losses["spatial_cycle"],
        "derived_loss_glob_self_left_out": losses["global"],
        "derived_loss_temp_self_left_out": losses["temporal"],
        "derived_loss_spa_self_left_out": losses["spatial"],
        "derived_loss_total_self_left_out_no_spa_cycle": torch.stack(
            [weight * losses[name] for name, weight in weights.items()]
        ).sum(),
    }


def of_test(golden: Golden, matcher: HCL) -> dict[str, Tensor]:
    """From the encoder's outputs on; the classes' means over their shots."""
    ours = {}
    query = matcher.describe(golden["test_query_hs"])[None]
    for which in ("k1", "kn"):
        every = torch.arange(len(golden["test_support_hs"]))
        chosen = golden["k1_index"] if which == "k1" else every
        support = matcher.describe(golden["test_support_hs"][chosen])[None]
        labels = golden["test_support_labels"][chosen][None]
        way = int(labels.max()) + 1
        found = matcher.similarities(
            matcher.unpack(query), matcher.unpack(support), zoom=matcher.zoom
        )
        levels = {"glob": found.whole, "temp": found.clips, "spa": found.patches}
        for name, sims in levels.items():
            means = [sims[0][:, labels[0] == c].mean(dim=1) for c in range(way)]
            ours[f"test_sim_{name}_{which}"] = torch.stack(means, dim=1)
        scores = matcher.compare(Task(way, support, query, labels))
        ours[f"test_sim_sum_{which}"] = scores.logits[0]
    return ours


@torch.no_grad()
def test_every_golden_array_of_hcl_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "hcl", dtype)
    matcher = published(golden)
    golden.assert_all_match(of_training(golden, matcher) | of_test(golden, matcher), others=INPUTS)


def random(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def descriptors(videos: int, *, time: int = 4, places: int = 6, width: int = 5) -> Descriptors:
    clips = functional.normalize(random(1, videos, time * (time - 1) // 2, width), dim=3)
    patches = functional.normalize(random(1, videos, time, places, width), dim=4)
    return Descriptors(clips, patches, patches.mean(dim=(2, 3)))


def by_loops(x: Descriptors, y: Descriptors, *, top_clips: int, top_patches: int, zoom: int):
    """Compute the similarities one pair, one clip and one patch at a time."""
    frames = [(a, b) for a in range(x.patches.shape[2]) for b in range(a + 1, x.patches.shape[2])]
    clips, patches = torch.zeros(2, x.clips.shape[1], y.clips.shape[1], dtype=torch.float64)
    for i, own in enumerate(x.clips[0]):
        for j, other in enumerate(y.clips[0]):
            best = sorted(((u @ other.T).max().item(), n) for n, u in enumerate(own))[::-1]
            chosen = [n for _, n in best[:top_clips]]
            partner = [int((own[n] @ other.T).argmax()) for n in chosen]
            clips[i, j] = own[chosen].mean(dim=0) @ other[partner].mean(dim=0)
            ours, theirs = [], []
            for n, m in list(zip(chosen, partner, strict=True))[:zoom]:
                p = torch.cat([x.patches[0, i, frame] for frame in frames[n]])
                q = torch.cat([y.patches[0, j, frame] for frame in frames[m]])
                order = sorted(range(len(p)), key=lambda k: -(p[k] @ q.T).max().item())
                for k in order[:top_patches]:
                    ours.append(p[k])
                    theirs.append(q[(p[k] @ q.T).argmax()])
            patches[i, j] = torch.stack(ours).mean(dim=0) @ torch.stack(theirs).mean(dim=0)
    return clips, patches


@pytest.mark.parametrize(
    ("top_clips", "top_patches", "zoom"), [(3, 4, 2), (6, 12, 1), (10, 40, 5), (1, 1, 1)]
)
def test_similarities_are_those_of_plain_loops(top_clips, top_patches, zoom, monkeypatch):
    x, y = descriptors(3), descriptors(5)
    sizes = {"top_clips": top_clips, "top_patches": top_patches, "zoom": zoom}
    clips, patches = by_loops(x, y, **sizes)
    for chunk in (1, 2_000, 1 << 30):  # bytes
        monkeypatch.setattr(hcl_zoom, "CHUNK_BYTES", chunk)
        found = similarities(x, y, **sizes)
        torch.testing.assert_close(found.clips[0], clips)
        torch.testing.assert_close(found.patches[0], patches)
        torch.testing.assert_close(found.whole[0], x.whole[0] @ y.whole[0].T)


def test_nothing_is_more_similar_to_a_video_than_itself():
    videos = descriptors(6)
    found = similarities(videos, videos, top_clips=1, top_patches=1, zoom=1)
    for sims in (found.clips[0], found.patches[0]):
        torch.testing.assert_close(sims.diagonal(), torch.ones(6, dtype=torch.float64))
        assert (sims <= sims.diagonal()[:, None] + 1e-12).all()


def test_permuting_the_videos_permutes_the_similarities():
    x, y, order = descriptors(4), descriptors(3), torch.tensor([2, 0, 3, 1])
    turned = Descriptors(x.clips[:, order], x.patches[:, order], x.whole[:, order])
    sizes = {"top_clips": 3, "top_patches": 4, "zoom": 2}
    plain, permuted = similarities(x, y, **sizes), similarities(turned, y, **sizes)
    for name in ("whole", "clips", "patches"):
        torch.testing.assert_close(getattr(permuted, name), getattr(plain, name)[:, order])


def test_all_patches_together_are_the_plain_mean_of_the_best_matches():
    x, y = descriptors(2, time=2), descriptors(3, time=2)  # one clip each
    found = similarities(x, y, top_clips=1, top_patches=1000, zoom=1)
    p, q = x.patches.flatten(2, 3)[0], y.patches.flatten(2, 3)[0]
    for i in range(2):
        for j in range(3):
            partners = q[j][(p[i] @ q[j].T).argmax(dim=1)]
            expected = p[i].mean(dim=0) @ partners.mean(dim=0)
            torch.testing.assert_close(found.patches[0, i, j], expected)


def pair_mask(classes: int) -> Tensor:
    labels = torch.arange(classes)[None]
    return hcl_losses.partners(labels, labels)


def test_the_contrast_of_equal_videos_is_the_logarithm_of_the_others():
    sims = torch.ones(1, 6, 6, dtype=torch.float64)
    found = hcl_losses.contrast(sims, pair_mask(3), temperature=0.07)
    torch.testing.assert_close(found, torch.tensor(5.0, dtype=torch.float64).log())


def test_the_contrast_holds_in_half_precision():
    sims = torch.tensor(
        [[[1.0, 0.9, -1, -1], [0.9, 1, -1, -1], [-1, -1, 1, 0.9], [-1, -1, 0.9, 1]]]
    )
    # Supports 0 and 2, queries 1 and 3, in this order.
    order = torch.tensor([0, 2, 1, 3])
    sims = sims[:, order][:, :, order]
    for dtype in (torch.bfloat16, torch.float32):
        found = hcl_losses.contrast(sims.to(dtype), pair_mask(2), temperature=0.01)
        assert found.isfinite()
        assert found < 1e-3


def test_partners_are_the_queries_of_a_class_and_its_supports():
    support, query = torch.tensor([[0, 1, 1]]), torch.tensor([[1, 0]])
    expected = torch.zeros(5, 5, dtype=torch.bool)
    for one, other in ((0, 4), (1, 3), (2, 3)):
        expected[one, other] = expected[other, one] = True
    assert torch.equal(hcl_losses.partners(support, query)[0], expected)


def test_the_cycle_of_far_apart_clips_comes_back():
    # So long that the softmax without temperature has one entry.
    clips = 30 * torch.eye(6, dtype=torch.float64)[None]
    assert hcl_losses.cycle(clips, clips.flip(1), temperature=0.07) < 1e-6
    short = torch.eye(6, dtype=torch.float64)[None]
    assert hcl_losses.cycle(short, short, temperature=1e-3) < 1e-6
    assert hcl_losses.cycle(short, short, temperature=1.0) > 0.5
    equal = torch.ones(1, 6, 3, dtype=torch.float64)
    lost = hcl_losses.cycle(equal, equal, temperature=0.07)
    torch.testing.assert_close(lost, torch.tensor(6.0, dtype=torch.float64).log())


def test_a_grid_larger_than_the_tables_reads_between_their_entries():
    positions = GridPositions(7)
    small = positions(time=8, height=10, width=7)
    assert small.shape == (8, 70, 7)
    assert torch.equal(
        small[3, 2 * 7 + 5], torch.cat([positions.time[3], positions.column[5], positions.row[2]])
    )
    large = positions(time=8, height=19, width=14)
    row = large[0, ::14, 5:]
    torch.testing.assert_close(row[::2], positions.row)
    torch.testing.assert_close(row[1], (positions.row[0] + positions.row[1]) / 2)


def test_videos_are_described_alike_in_training_and_at_test():
    matcher = HCL(16, width=12, heads=2, frames=4).double().eval()
    maps = random(6, 16, 4, 2, 3)
    frames = maps.mean(dim=(3, 4)).mT
    rows = matcher.prepare(Features(frames, maps)).frames[None]
    task = Task(
        3,
        frames[None, :3],
        frames[None, 3:],
        torch.arange(3)[None],
        support_maps=maps[None, :3],
        query_maps=maps[None, 3:],
    )
    labelled = replace(task, query_labels=torch.arange(3)[None])
    matcher.zoom = 1
    with torch.no_grad():
        at_test = matcher.compare(Task(3, rows[:, :3], rows[:, 3:], task.support_labels)).logits
        torch.testing.assert_close(matcher(labelled).logits, at_test)
        torch.testing.assert_close(matcher(task).logits, at_test)
