"""Where a network looks: its attention laid over the frames of a video."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from tasd.losses.attention import spatial_attention
from tasd.model import Model


def attention_picture(
    network: Model, frames: UInt8[Tensor, "1 time height width 3"]
) -> UInt8[np.ndarray, "height row 3"]:
    """The frames of one video in a row, dark where the mean absolute feature is small."""
    with torch.inference_mode():
        maps = network(frames).maps
        assert maps is not None
        # Eq. 4 frame by frame: each frame is handed over as a video of its own.
        each = maps.transpose(1, 2).flatten(0, 1)[:, :, None]
        attention = spatial_attention(each)
    low, high = attention.amin(), attention.amax()
    scaled = (attention - low) / (high - low).clamp(min=1e-12)
    size = tuple(frames.shape[2:4])
    light = functional.interpolate(scaled[:, None], size=size, mode="bilinear")[:, 0]
    shaded = frames[0].float() * (0.25 + 0.75 * light[..., None])
    row = torch.cat(list(shaded), dim=1)
    return row.to(torch.uint8).cpu().numpy()
