from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tasd.matchers import build
from tasd.matchers.sloshnet import SloshNet, SloshNetTemporal
from tasd.matchers.sloshnet_branches import LongTerm, ShortTerm
from tasd.matchers.sloshnet_fusion import FusionCell, SpatialModulation, mixed
from tasd.matchers.trx import TRX
from tasd.types import Features, Task
from tests.matchers.golden import Golden

NAMES = {
    "transformers.0.k_linear": "trx.attentions.0.key",
    "transformers.0.v_linear": "trx.attentions.0.value",
    "transformers.0.norm_k": "trx.attentions.0.norm_key",
    "cmm.qkv": "branches.short.qkv",
    "cmm.qconv": "branches.short.convolve_query",
    "cmm.kconv": "branches.short.convolve_key",
    "cmm.mlp.fc1": "branches.short.narrow",
    "cmm.mlp.fc2": "branches.short.gate",
    "cstm.resblocks.0.attn": "branches.long.attention",
    "cstm.resblocks.0.attn.out_proj": "branches.long.attention.out_proj",
    "cstm.resblocks.0.ln_1": "branches.long.norm_before",
    "cstm.resblocks.0.ln_2": "branches.long.norm_between",
    "cstm.resblocks.0.mlp.c_fc": "branches.long.widen",
    "cstm.resblocks.0.mlp.c_proj": "branches.long.narrow",
    "gamma1": "branches.gamma",
    "beta1": "fusion.beta",
    **{f"darts_model.alpha_normal.{n}": f"fusion.alphas.{n}" for n in range(3)},
}
# The order of the published step is ReLU (no weights), BatchNorm, convolution.
STEPS = {
    f"spatial_modulation.spatial_modulation.{path}.{step}.{theirs}": (
        f"modulation.paths.{path}.{step}.{ours}"
    )
    for path in range(3)
    for step in range(3 - path)
    for theirs, ours in (("bn2", 1), ("conv2", 2))
}
INPUTS = ("alpha_prune", "raw_support", "raw_query", *(f"level_r{n}" for n in (2, 3, 4, 5)))


def published(golden: Golden) -> SloshNet:
    matcher = build("sloshnet", 32, width=24)
    assert isinstance(matcher, SloshNet)
    weights = golden.weights(NAMES | STEPS)
    for name in ("branches.gamma", "fusion.beta"):
        weights[name] = weights[name].flatten()
    # The sign of the gated branch is + here: minus the values, which are the last third.
    weights["branches.short.qkv.weight"][2 * 32 :] *= -1
    missing = matcher.load_state_dict(weights, strict=False)
    assert all("num_batches_tracked" in name for name in missing.missing_keys)
    assert not missing.unexpected_keys
    return matcher.to(golden.dtype).eval()


def fused_parts(golden: Golden, matcher: SloshNet) -> dict[str, Tensor]:
    levels = [golden[f"level_r{n}"] for n in (2, 3, 4, 5)]
    aligned = matcher.modulation(levels)
    states = matcher.fusion.states(aligned)
    one_hot = 1e3 * torch.eye(3, dtype=golden.dtype)
    return {
        **{f"aligned_x{n + 1}": aligned[n] for n in range(3)},
        **{f"state_s{n + 1}": states[n] for n in range(1, 4)},
        "fused": matcher.fusion(aligned),
        "mixed_prune": mixed(aligned[0], aligned[1], golden["alpha_prune"][0]),
        **{
            f"op_{name}": mixed(aligned[0], aligned[1], alpha)
            for name, alpha in zip(("GP1", "GP2", "Sum"), one_hot, strict=True)
        },
    }


def of_episode(golden: Golden, matcher: SloshNet) -> dict[str, Tensor]:
    """From fused maps on: the temporal branches, TRX, and TRX alone."""
    branches, ours = matcher.branches, {}
    for part in ("support", "query"):
        ours[f"frame_feat_{part}"] = branches(golden[part].transpose(1, 2))
    pixels = golden["query"][:3].permute(0, 1, 3, 4, 2)
    ours["cstm_fixed_query"] = branches.long(pixels).permute(0, 1, 4, 2, 3)
    whole = SloshNetTemporal(32, width=24).to(golden.dtype).eval()
    own = matcher.state_dict()
    whole.load_state_dict({name: own[name] for name in whole.state_dict()})
    for which in ("k1", "kn"):
        task = golden.task(which)
        assert task.support_maps is not None
        assert task.query_maps is not None
        maps = {"support_levels": (task.support_maps,), "query_levels": (task.query_maps,)}
        ours[f"logits_{which}"] = whole(replace(task, **maps)).logits[0]
        raw = golden["raw_support"][golden.supports(which)], golden["raw_query"]
        alone = Task(task.way, raw[0][None], raw[1][None], task.support_labels)
        ours[f"trx1_logits_{which}"] = matcher.trx(alone).logits[0]
    return ours


@torch.no_grad()
def test_every_golden_array_of_sloshnet_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "sloshnet", dtype)
    matcher = published(golden)
    golden.assert_all_match(
        fused_parts(golden, matcher) | of_episode(golden, matcher), others=INPUTS
    )


def test_condensing_is_modulation_fusion_and_branches(shared: Path):
    golden = Golden(shared, "sloshnet", torch.float64)
    matcher = published(golden)
    # Three pictures as the three frames of one video.
    levels = tuple(golden[f"level_r{n}"].transpose(0, 1)[None] for n in (2, 3, 4, 5))
    found = matcher.condense(Features(torch.zeros(1, 3, 32), levels=levels))
    expected = matcher.branches(golden["fused"].transpose(0, 1)[None])
    torch.testing.assert_close(found.frames, expected, rtol=0, atol=1e-8)
    assert found.levels == ()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_sum_alone_adds_the_levels_up():
    cell = FusionCell(4).double()
    with torch.no_grad():
        for alpha in cell.alphas:
            alpha.copy_(torch.tensor([0.0, 0, 1e3]).expand_as(alpha))
    x = list(random(4, 2, 5, 3, 3))
    _, second, third, fourth = cell.states(x)
    torch.testing.assert_close(second, x[0] + x[1])
    torch.testing.assert_close(third, 2 * x[0] + x[1] + 2 * x[2])
    torch.testing.assert_close(fourth, 4 * x[0] + 2 * x[1] + 2 * x[2] + 3 * x[3])


def test_beta_on_the_last_level_leaves_it_alone():
    cell = FusionCell(4).double()
    with torch.no_grad():
        cell.beta.copy_(torch.tensor([0.0, 0, 0, 0, 1e3]))
    x = list(random(4, 2, 5, 3, 3))
    assert torch.equal(cell(x), x[-1])


def test_the_last_level_begins_with_six_tenths():
    shares = FusionCell(4).beta.softmax(dim=0)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.1, 0.1, 0.6]))


def test_a_still_video_with_equal_queries_and_keys_is_gated_by_a_half():
    short = ShortTerm(16).double()
    with torch.no_grad():
        short.qkv.weight[16:32] = short.qkv.weight[:16]
        short.convolve_key.weight.copy_(short.convolve_query.weight)
    still = random(2, 1, 3, 3, 16).expand(2, 4, 3, 3, 16)
    value = short.qkv(still)[..., 32:]
    torch.testing.assert_close(short(still), 0.5 * value)


def test_motion_changes_the_gates():
    short, moving = ShortTerm(16).double(), random(2, 4, 3, 3, 16)
    out, value = short(moving), short.qkv(moving)[..., 32:]
    assert not torch.allclose(out[:, :-1], 0.5 * value[:, :-1])
    torch.testing.assert_close(out[:, -1], 0.5 * value[:, -1])  # the last frame has no next one


def test_what_does_not_change_in_time_stays_so_in_the_long_branch():
    long = LongTerm(16, positions=False).double().eval()
    found = long(random(2, 1, 3, 2, 16).expand(2, 5, 3, 2, 16))
    torch.testing.assert_close(found, found[:, :1].expand_as(found))


@pytest.mark.parametrize("positions", [False, True])
def test_the_long_branch_knows_the_order_of_frames_only_by_positions(positions: bool):
    long = LongTerm(16, positions=positions).double().eval()
    pixels, order = random(2, 5, 3, 2, 16), torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(long(pixels[:, order]), long(pixels)[:, order]) != positions


def test_the_long_branch_mixes_time_and_nothing_else():
    long = LongTerm(16, positions=False).double().eval()
    pixels = random(2, 5, 3, 2, 16)
    changed = pixels.clone()
    changed[1, 4, 2, 1] = random(16)
    moved = (long(changed) - long(pixels)).abs().sum(dim=4) > 1e-12
    assert moved[1, :, 2, 1].all()
    moved[1, :, 2, 1] = False
    assert not moved.any()


@pytest.mark.parametrize(
    ("channels", "widths"),
    [
        ((256, 512, 1024, 2048), [[256, 512, 1024, 2048], [512, 1024, 2048], [1024, 2048]]),
        ((24, 32, 96, 1280), [[24, 48, 96, 1280], [32, 64, 1280], [96, 1280]]),
        ((64, 128, 256), [[64, 128, 256], [128, 256]]),
    ],
)
def test_the_channels_double_up_to_the_last_stages_own(channels, widths):
    with torch.device("meta"):
        modulation = SpatialModulation(channels)
    for path, expected in zip(modulation.paths, widths, strict=True):
        convs = [module for module in path.modules() if isinstance(module, nn.Conv2d)]
        assert [convs[0].in_channels, *(conv.out_channels for conv in convs)] == expected


def test_the_modulation_of_a_resnet50_is_more_than_twice_the_backbone():
    with torch.device("meta"):
        paths = SpatialModulation((256, 512, 1024, 2048)).paths
    millions = [sum(p.numel() for p in path.parameters()) / 1e6 for path in paths]
    assert [round(number, 1) for number in millions] == [24.8, 23.6, 18.9]


def test_single_frames_are_compared_by_trx():
    assert isinstance(SloshNet(16, width=8).trx, TRX)
    assert SloshNet(16, width=8).trx.cardinalities == (1,)
