"""A matcher's work on each video alone, done once, and gathered for batches of episodes."""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tasd.episodes.table import EpisodeTable
from tasd.evaluation.parallel import side_by_side
from tasd.features.store import FeatureStore
from tasd.matchers.arithmetic import frame_norms
from tasd.matchers.base import Matcher
from tasd.types import Features

VIDEOS_AT_ONCE = 32
# Prepared videos are kept if they take less than this in main memory, or half of a GPU's free
# memory; otherwise each episode prepares its videos again.
KEPT_BYTES = 4 << 30


@dataclass(frozen=True)
class GatheredVideos:
    """The features of the videos of some episodes."""

    frames: Float[Tensor, "episodes videos time channels"]
    maps: Float[Tensor, "episodes videos channels map_time height width"] | None
    norms: Float[Tensor, "episodes videos time"] | None


class Buffers(threading.local):
    """Memory that a thread reuses for each batch.

    Allocating new memory for each batch takes as long as filling it (measured: BiMHM scores a
    sixth more episodes a second with reused memory).
    """

    def __init__(self) -> None:
        self.held: dict[str, Tensor] = {}

    def select(
        self,
        name: str,
        of: Float[Tensor, "videos *rest"],  # noqa: F821
        index: Int64[Tensor, " chosen"],
    ) -> Float[Tensor, "chosen *rest"]:  # noqa: F821
        """Return ``of[index]``, written into the buffer called ``name``."""
        buffer = self.held.get(name)
        if buffer is None or len(buffer) < len(index):
            buffer = self.held[name] = of.new_empty(len(index), *of.shape[1:])
        return torch.index_select(of, 0, index, out=buffer[: len(index)])


@dataclass(frozen=True)
class PreparedVideos:
    """The features of each video, in the order of an episode table.

    ready: True where frames and maps are the output of `Matcher.prepare`; otherwise frames are
    raw features, and the maps are at ``rows`` of ``disk``, the array of the feature file.
    norms: of each frame, computed once for all episodes, where the matcher reads them.
    """

    frames: Float[Tensor, "videos time channels"]
    maps: Float[Tensor, "videos map_channels map_time height width"] | None
    ready: bool
    disk: Float[np.ndarray, "all map_time map_channels height width"] | None = None
    rows: Int64[np.ndarray, " videos"] | None = None
    norms: Float[Tensor, "videos time"] | None = None

    @property
    def bytes_each(self) -> int:
        """The memory of one gathered video in bytes."""
        maps = 0 if self.maps is None else self.maps[0].nbytes
        disk = 0 if self.disk is None else 4 * self.disk[0].size
        return int(self.frames[0].nbytes + maps + disk)

    def gather(
        self, index: Int64[np.ndarray, "episodes members"], *, into: Buffers
    ) -> GatheredVideos:
        """Gather the videos of some episodes into ``into``; valid until the next call with it."""
        flat = torch.from_numpy(index.reshape(-1)).to(self.frames.device)
        frames, maps = into.select("frames", self.frames, flat), None
        if self.maps is not None:
            maps = into.select("maps", self.maps, flat)
        elif self.disk is not None and self.rows is not None:
            maps = _from_disk(self.disk, self.rows[index.reshape(-1)], self.frames.device)
        lead = index.shape
        return GatheredVideos(
            frames.reshape(*lead, *frames.shape[1:]),
            None if maps is None else maps.reshape(*lead, *maps.shape[1:]),
            None if self.norms is None else self.norms[flat].reshape(*lead, -1),
        )


def prepare(
    matcher: Matcher, features: FeatureStore, episodes: EpisodeTable, device: torch.device
) -> PreparedVideos:
    """Run `Matcher.prepare` once for each video of ``episodes``.

    Where its output is too large to keep, each episode is to run it again.
    """
    rows = features.rows(episodes)
    disk = features.maps if matcher.needs_maps else None
    raw = torch.from_numpy(features.features)

    def prepared(part: slice) -> Features:
        frames = raw[torch.from_numpy(rows[part])].to(device).float()
        maps = None if disk is None else _from_disk(disk, rows[part], device)
        return matcher.prepare(Features(frames, maps))

    first = prepared(slice(0, 1))
    if _bytes_each(first) * len(rows) > _available_bytes(device):
        everything = raw[torch.from_numpy(rows)].to(device).float()
        return PreparedVideos(everything, None, ready=False, disk=disk, rows=rows)
    frames = first.frames.new_empty(len(rows), *first.frames.shape[1:])
    maps = None if first.maps is None else first.maps.new_empty(len(rows), *first.maps.shape[1:])

    def keep(start: int) -> None:
        part = slice(start, start + VIDEOS_AT_ONCE)
        features = prepared(part)
        frames[part] = features.frames
        if maps is not None and features.maps is not None:
            maps[part] = features.maps

    side_by_side(keep, range(0, len(rows), VIDEOS_AT_ONCE), device=device)
    norms = frame_norms(frames[None])[0] if matcher.reads_norms else None
    return PreparedVideos(frames, maps, ready=True, norms=norms)


def _bytes_each(features: Features) -> int:
    maps = 0 if features.maps is None else features.maps[0].nbytes
    return int(features.frames[0].nbytes + maps)


def _available_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else KEPT_BYTES


def _from_disk(
    disk: Float[np.ndarray, "all map_time map_channels height width"],
    rows: Int64[np.ndarray, " rows"],
    device: torch.device,
) -> Float[Tensor, "rows map_channels map_time height width"]:
    maps = torch.from_numpy(np.asarray(disk[rows])).to(device)
    return maps.float().transpose(1, 2)
