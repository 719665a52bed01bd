"""The usual training step of this field, on the same episode: as MoLo and HyRSM take it.

torchvision's ResNet as it is: pixels in float32 with channels first, BatchNorm as a layer of its
own with live statistics, support and query one after the other, one loss, Adam over the weights one
by one. No teacher, no temporal encoder, no moving average: less work than a step of this project.
"""

import contextlib

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from tasd.types import IMAGENET_MEAN, IMAGENET_STD, EpisodeBatch

BACKBONES = ("resnet18", "resnet34", "resnet50")


class FieldStep:
    """A step of a network of its own. autocast: convolutions in bfloat16.

    Pixels are normalised before: decoding is not measured either.
    """

    def __init__(self, backbone: str, batch: EpisodeBatch, *, autocast: bool) -> None:
        assert backbone in BACKBONES, backbone
        device = batch.frames.device
        network = getattr(models, backbone)(weights=None)
        self._network = nn.Sequential(*list(network.children())[:-1]).to(device).train()
        self._adam = torch.optim.Adam(self._network.parameters(), lr=1e-5, foreach=False)
        pixels = _normalised(batch.frames)
        shots = len(batch.support_labels)
        self._support, self._query = pixels[:shots], pixels[shots:]
        self._labels = batch.support_labels, batch.query_labels
        self._autocast = autocast

    def __call__(self) -> float:
        """Take the step and return its loss, as the logs of these programs do."""
        self._adam.zero_grad()
        device = self._support.device.type
        half = (
            torch.autocast(device, torch.bfloat16) if self._autocast else contextlib.nullcontext()
        )
        with half:
            support, query = self._features(self._support), self._features(self._query)
            loss = functional.cross_entropy(-self._distances(query, support), self._labels[1])
        loss.backward()
        self._adam.step()
        value: float = loss.item()
        return value

    def _features(self, clips: Tensor) -> Tensor:
        frames: Tensor = self._network(clips.flatten(0, 1)).flatten(1)
        videos: Tensor = frames.unflatten(0, clips.shape[:2])
        return videos

    def _distances(self, query: Tensor, support: Tensor) -> Tensor:
        """Compute Bi-MHM's distance of each query to the mean of each class's support."""
        labels = self._labels[0]
        ways = [support[labels == label].mean(0) for label in labels.unique()]
        a = functional.normalize(query, dim=-1)
        b = functional.normalize(torch.stack(ways), dim=-1)
        apart = 1 - torch.einsum("qtc, wsc -> qwts", a, b)  # query, way, time, support time
        distances: Tensor = apart.amin(3).sum(2) + apart.amin(2).sum(2)
        return distances


def _normalised(frames: Tensor) -> Tensor:
    """(videos, time, 3, height, width) in float32, contiguous."""
    mean, std = (torch.tensor(v, device=frames.device) for v in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = (frames.float() / 255 - mean) / std
    return pixels.permute(0, 1, 4, 2, 3).contiguous()
