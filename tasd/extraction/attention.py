"""Attention maps of a network in one video."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tasd.losses.attention import spatial_attention
from tasd.model import Model


@dataclass(frozen=True)
class Attention:
    """Spatial attention of one network in one video, scaled to 0..1.

    video: Eq. 4, the mean over channels and time. frames: the same for each frame alone; of a
    backbone that shortens time, that of the step which the frame belongs to.
    """

    label: str
    video: Float[Tensor, "rows columns"]
    frames: Float[Tensor, "time rows columns"]


def attention(
    model: Model, frames: UInt8[Tensor, "1 time height width 3"], *, label: str
) -> Attention:
    """Compute G^s of a video and of each of its frames, in the precision of ``model``."""
    with torch.inference_mode():
        maps = model(frames).maps
        assert maps is not None
        # Each frame as a video of its own: (1, channels, time, ...) -> (time, channels, 1, ...).
        each = maps[0].transpose(0, 1)[:, :, None]
        time, steps = frames.shape[1], len(each)
        each = each[torch.arange(time) * steps // time]
        return Attention(
            label, _scaled(spatial_attention(maps))[0], _scaled(spatial_attention(each))
        )


def _scaled(attention: Float[Tensor, "maps rows columns"]) -> Float[Tensor, "maps rows columns"]:
    low, high = attention.amin(), attention.amax()
    return (attention - low) / (high - low).clamp(min=1e-12)
