from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers.arithmetic import class_means, cosine_distances
from tasd.matchers.base import prepared
from tasd.matchers.bimhm import bidirectional_hausdorff
from tasd.matchers.molo import EPS, MoLo
from tasd.types import Task
from tests.matchers.golden import Golden

NAMES = {
    "scale": "scale",
    "scale_motion": "scale_motion",
    "class_token": "of_frames.class_token",
    "class_token_motion": "of_steps.class_token",
    "motion_reduce": "motion.reduce",
    "motion_conv": "motion.convolve",
    "motion_up": "motion.widen",
    "classification_layer": "classifier",
    "outc.conv": "reconstruction.decode.12",
}
BRANCHES = {"temporal_atte_before": "of_frames", "temporal_atte_before_motion": "of_steps"}
LAYERS = {
    "0.norm": "attention.norm",
    "0.fn.to_qkv": "attention.to_qkv",
    "0.fn.to_out.0": "attention.to_out",
    "1.net.0": "mlp.0",
    "1.net.3": "mlp.3",
}
CONTRASTS = {
    "logits_s2q": "support_to_query_frames",
    "logits_q2s": "query_to_support_frames",
    "logits_s2q_motion": "support_to_query_motion",
    "logits_q2s_motion": "query_to_support_motion",
}
INPUTS = ("support_images_14", "query_images_14", "position_ab", "heads", "motion_weight")


def published(golden: Golden) -> MoLo:
    renamed = dict(NAMES)
    for theirs, ours in BRANCHES.items():
        for layer, name in LAYERS.items():
            renamed[f"{theirs}.layers.0.{layer}"] = f"{ours}.{name}"
    for block in (1, 2, 3):
        conv = 4 * block - 3
        renamed[f"up{block}.conv.double_conv.0"] = f"reconstruction.decode.{conv}"
        renamed[f"up{block}.conv.double_conv.1"] = f"reconstruction.decode.{conv + 1}"
    a, b = golden["position_ab"].tolist()
    matcher = MoLo(
        32,
        heads=int(golden.number("heads")),
        position_a=a,
        position_b=b,
        motion_weight=golden.number("motion_weight"),
        classes=7,
    )
    weights = golden.weights(renamed)
    for token in ("of_frames.class_token", "of_steps.class_token"):
        weights[token] = weights[token].flatten()
    # Counters of batches, which evaluation does not read, are not in the file.
    missing = matcher.load_state_dict(weights, strict=False)
    assert all("num_batches_tracked" in name for name in missing.missing_keys)
    assert not missing.unexpected_keys
    return matcher.to(golden.dtype).eval()


def pixels(images: Tensor) -> Tensor:
    """Repeat each of 14 x 14 pixels to 16 x 16."""
    return images.repeat_interleave(16, dim=-1).repeat_interleave(16, dim=-2)


def tokens(matcher: MoLo, task: Task) -> dict[str, Tensor]:
    """Compute tokens of prototypes and queries in both branches, class tokens first."""
    ready = prepared(matcher, task)
    prototypes = class_means(ready.support, ready.support_labels, way=5)
    proto, proto_motion = matcher.branches(prototypes)
    query, query_motion = matcher.branches(ready.query)
    return {
        "proto_tokens": proto[0],
        "proto_motion_tokens": proto_motion[0],
        "query_tokens": query[0],
        "query_motion_tokens": query_motion[0],
    }


def scores(matcher: MoLo, task: Task) -> dict[str, Tensor]:
    """Compute all scores that the golden file holds."""
    ready, own = prepared(matcher, task), tokens(matcher, task)
    frames = cosine_distances(
        own["query_tokens"][None, :, 1:], own["proto_tokens"][None, :, 1:], eps=EPS
    )
    branches, contrasts = matcher.branch_distances(ready), matcher.contrast_logits(ready)
    ours = {
        "logits": matcher(task).logits[0],
        "logits_motion_weight_zero": -branches["frames"][0],
        "logits_motion": -branches["motion"][0],
        "logits_single_direction": -bidirectional_hausdorff(frames, directions="query")[0],
        "class_logits": matcher.class_logits(torch.cat([ready.support[0], ready.query[0]])),
    }
    return ours | {theirs: contrasts[name][0] for theirs, name in CONTRASTS.items()}


@torch.no_grad()
def reconstruction(golden: Golden, matcher: MoLo) -> dict[str, Tensor]:
    """Decode motion at some pixels, and its loss, one step at a time to save memory."""
    assert matcher.reconstruction is not None
    shots = len(golden["support"])
    videos = torch.cat([golden["support"], golden["query"]]).transpose(1, 2)
    images = torch.cat([golden["support_images_14"], golden["query_images_14"]])
    losses, samples, means = [], [], []
    for video, seen in zip(videos.split(1), images.split(1), strict=True):
        steps = matcher.motion(video)[0].split(1)
        decoded = torch.cat([matcher.reconstruction.decode(step) for step in steps])
        losses.append(functional.mse_loss(decoded, pixels(seen[0]).diff(dim=0)))
        samples.append(decoded[:, :, 5::32, 3::32])
        means.append(decoded.mean(dim=(2, 3)))
    of_module = matcher.reconstruction(matcher.motion(videos[:1]), pixels(images[:1]))
    torch.testing.assert_close(of_module, losses[0])
    k1 = [*golden["k1_index"].tolist(), *range(shots, len(videos))]
    return {
        "loss_recons_kn": torch.stack(losses).mean(),
        "loss_recons_k1": torch.stack([losses[video] for video in k1]).mean(),
        "recon_sample_k1": torch.cat([samples[video] for video in k1]),
        "recon_frame_mean_k1": torch.cat([means[video] for video in k1]),
    }


def test_every_golden_array_of_molo_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "molo", dtype)
    matcher = published(golden)
    ours = reconstruction(golden, matcher)
    for which in ("k1", "kn"):
        task = golden.task(which)
        ours |= {f"{name}_{which}": value for name, value in scores(matcher, task).items()}
        for name, value in tokens(matcher, task).items():
            ours[name if name.startswith("query") else f"{name}_{which}"] = value
    golden.assert_all_match(ours, others=INPUTS)


def test_the_losses_are_those_of_the_published_scores(shared: Path):
    golden = Golden(shared, "molo", torch.float64)
    matcher = published(golden)
    labels = golden["query_labels"]
    task = replace(
        golden.task("k1"),
        query_labels=labels[None],
        support_classes=golden["support_labels"][golden["k1_index"]][None] + 1,
        query_classes=labels[None] + 1,
    )
    losses = matcher(task).losses
    contrasts = [functional.cross_entropy(golden[f"{name}_k1"], labels) for name in CONTRASTS]
    torch.testing.assert_close(losses["contrast"], torch.stack(contrasts).sum())
    classes = torch.cat([golden["support_labels"][golden["k1_index"]], labels]) + 1
    expected = functional.cross_entropy(golden["class_logits_k1"], classes)
    torch.testing.assert_close(losses["classifier"], expected)
    assert "reconstruction" not in losses  # no pixels were given


@pytest.mark.parametrize("size", [(64, 64), (40, 50)])
def test_the_reconstruction_is_resized_to_the_pixels(size: tuple[int, int]):
    matcher = MoLo(16, heads=2).eval()
    assert matcher.reconstruction is not None
    steps = torch.randn(3, 4, 2, 2, 2)
    assert matcher.reconstruction(steps, torch.randn(3, 5, 3, *size)).isfinite()
