"""A deliberate mistake in HCL or SloshNet is caught by the golden numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers import attention, hcl, hcl_encoder, hcl_losses, hcl_zoom, sloshnet_fusion
from tasd.matchers.hcl import HCL
from tasd.matchers.sloshnet_branches import LongTerm, ShortTerm
from tests.matchers import test_hcl, test_sloshnet

Patch = pytest.MonkeyPatch
exact_contrast = hcl_losses.contrast
exact_similarities, exact_unpack = hcl_zoom.similarities, HCL.unpack
exact_frames, exact_mixed = hcl.frame_tuples, sloshnet_fusion.mixed
exact_long, exact_short = LongTerm.forward, ShortTerm.forward
exact_halving = sloshnet_fusion._halving


def layer_with_placed_values(self, tokens: Tensor, positions: Tensor) -> Tensor:
    placed = tokens + positions
    tokens = self.norm_attention(tokens + self.attention(placed, placed, placed)[0])
    inner = functional.gelu(self.widen(tokens))
    return self.norm_feedforward(tokens + self.narrow(inner))


def positions_in_v(patch: Patch) -> None:
    patch.setattr(hcl_encoder.EncoderLayer, "forward", layer_with_placed_values)


def rows_as_columns(patch: Patch) -> None:
    exact = hcl_encoder.GridPositions.forward

    def exchanged(self, *, time: int, height: int, width: int) -> Tensor:
        grid = exact(self, time=time, height=height, width=width)
        return grid.unflatten(1, (height, width)).transpose(1, 2).flatten(1, 2)

    patch.setattr(hcl_encoder.GridPositions, "forward", exchanged)


def tanh_gelu(patch: Patch) -> None:
    exact = functional.gelu
    patch.setattr(functional, "gelu", lambda x: exact(x, approximate="tanh"))


def later_frame_first(patch: Patch) -> None:
    patch.setattr(hcl, "frame_tuples", lambda *a, **o: exact_frames(*a, **o).flip(1))


def usual_eps(patch: Patch) -> None:
    patch.setattr(hcl, "EPS", 1e-5)


def renormalised_whole(patch: Patch) -> None:
    def unpack(self, rows: Tensor) -> hcl_zoom.Descriptors:
        found = exact_unpack(self, rows)
        return replace(found, whole=functional.normalize(found.whole, dim=2))

    patch.setattr(HCL, "unpack", unpack)


def from_y_to_x(patch: Patch) -> None:
    def turned(x, y, **options):
        found = exact_similarities(y, x, **options)
        parts = {name: getattr(found, name).mT for name in ("whole", "clips", "patches")}
        return replace(found, **parts)

    patch.setattr(hcl, "similarities", turned)


def mean_of_products(patch: Patch) -> None:
    def products(own: Tensor, x: Tensor, partner: Tensor, y: Tensor) -> Tensor:
        sims = torch.einsum("exnd,eymd->exynm", x, y)
        return (own * sims.amax(dim=4)).sum(dim=3)

    patch.setattr(hcl_zoom, "_agreement", products)


def another_temperature(patch: Patch) -> None:
    def warmer(*given, temperature: float) -> Tensor:
        return exact_contrast(*given, temperature=0.1)

    patch.setattr(hcl_losses, "contrast", warmer)


def itself_as_released(patch: Patch) -> None:
    def released(sims: Tensor, positive: Tensor, *, temperature: float) -> Tensor:
        others = 1 - torch.eye(sims.shape[1], dtype=sims.dtype)
        shares = (sims * others / temperature).log_softmax(dim=2)
        return -shares[positive].mean()

    patch.setattr(hcl_losses, "contrast", released)


def temperature_there_too(patch: Patch) -> None:
    def sharper(x: Tensor, y: Tensor, *, temperature: float) -> Tensor:
        there = (x @ y.mT / temperature).softmax(dim=2) @ y
        back = there @ x.mT / temperature
        items = torch.arange(x.shape[1]).expand(x.shape[:2])
        return functional.cross_entropy(back.flatten(0, 1), items.flatten())

    patch.setattr(hcl_losses, "cycle", sharper)


def one_clip_at_test(patch: Patch) -> None:
    patch.setattr(
        hcl, "similarities", lambda x, y, **o: exact_similarities(x, y, **(o | {"zoom": 1}))
    )


def norm_before_relu(patch: Patch) -> None:
    def swapped(inputs: int, outputs: int) -> nn.Sequential:
        relu, norm, conv = exact_halving(inputs, outputs)
        step = nn.Sequential(nn.Identity(), norm, conv)
        norm.register_forward_hook(lambda module, given, found: relu(found))
        return step

    patch.setattr(sloshnet_fusion, "_halving", swapped)


def gates_exchanged(patch: Patch) -> None:
    def exchanged(before: Tensor, new: Tensor, alpha: Tensor) -> Tensor:
        return exact_mixed(before, new, alpha[[1, 0, 2]])

    patch.setattr(sloshnet_fusion, "mixed", exchanged)
    patch.setattr(test_sloshnet, "mixed", exchanged)


def nothing_skipped(patch: Patch) -> None:
    patch.setattr(sloshnet_fusion, "SKIPPED", 0.0)


def released_sign(patch: Patch) -> None:
    patch.setattr(ShortTerm, "forward", lambda self, pixels: -exact_short(self, pixels))


def queries_ahead(patch: Patch) -> None:
    """R_t = k_t - q_{t+1}: by turning time, and back."""
    patch.setattr(ShortTerm, "forward", lambda s, pixels: exact_short(s, pixels.flip(1)).flip(1))


def erf_gelu(patch: Patch) -> None:
    exact = torch.sigmoid
    patch.setattr(torch, "sigmoid", lambda x: 0.5 * (1 + torch.erf(x / (1.702 * 2**0.5))))
    assert exact is not torch.sigmoid


def all_pixels_attend(patch: Patch) -> None:
    """The released leak: the frames of one place of all videos are one sequence."""

    def leaking(self: LongTerm, pixels: Tensor) -> Tensor:
        return exact_long(self, pixels.transpose(0, 1)).transpose(0, 1)

    patch.setattr(LongTerm, "forward", leaking)


def no_positions(patch: Patch) -> None:
    patch.setattr(attention.PairedPositions, "forward", lambda self, x: x)


OF_HCL = [
    positions_in_v,
    rows_as_columns,
    tanh_gelu,
    later_frame_first,
    usual_eps,
    renormalised_whole,
    from_y_to_x,
    mean_of_products,
    another_temperature,
    itself_as_released,
    temperature_there_too,
    one_clip_at_test,
]
OF_SLOSHNET = [
    norm_before_relu,
    gates_exchanged,
    nothing_skipped,
    released_sign,
    queries_ahead,
    erf_gelu,
    all_pixels_attend,
    no_positions,
]


@pytest.mark.parametrize("mistake", OF_HCL, ids=lambda mistake: mistake.__name__)
def test_a_mistake_in_hcl_is_caught(shared: Path, mistake: Callable, monkeypatch: Patch):
    mistake(monkeypatch)
    with pytest.raises(AssertionError, match="away"):
        test_hcl.test_every_golden_array_of_hcl_is_matched(shared, torch.float64)


@pytest.mark.parametrize("mistake", OF_SLOSHNET, ids=lambda mistake: mistake.__name__)
def test_a_mistake_in_sloshnet_is_caught(shared: Path, mistake: Callable, monkeypatch: Patch):
    mistake(monkeypatch)
    with pytest.raises(AssertionError, match="away"):
        test_sloshnet.test_every_golden_array_of_sloshnet_is_matched(shared, torch.float64)
