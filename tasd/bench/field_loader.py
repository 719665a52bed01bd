"""The two usual ways of this field to load an episode.

Pillow reads frames in ``.jpg`` files (TRX, STRM), or decord decodes the videos themselves (HyRSM,
MoLo, CLIP-FSAR). Both run in a torch DataLoader, which resizes, crops, flips, converts to float32
and normalises on the CPU.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from tasd.datasets import DATASETS, scan
from tasd.episodes import View
from tasd.errors import UserError
from tasd.loader.augment import corner
from tasd.store import Store

RESIZE = 256  # the short side before the crop; frames stored at this size stay as they are
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FieldLoader:
    """A data set of episodes in a torch DataLoader; its workers stay alive between rounds."""

    def __init__(self, dataset: Dataset[Tensor], *, device: torch.device, workers: int) -> None:
        self._device = device
        self._loader = DataLoader(
            dataset,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Forking a process that runs DALI's threads is not safe.
            multiprocessing_context="spawn" if workers else None,
            pin_memory=device.type == "cuda",
        )

    def __iter__(self) -> Iterator[Tensor]:
        for frames in self._loader:
            yield frames.to(self._device, non_blocking=True)


@dataclass(frozen=True)
class JpegFiles(Dataset[Tensor]):
    """Episodes from frames in files, one file a frame, channels first.

    stored: number of frames of each video. normalised: float32, as is usual in the field; else
    uint8.
    """

    episodes: Sequence[Sequence[View]]
    size: int
    files: Mapping[tuple[str, int], Path]
    stored: Mapping[str, int]
    normalised: bool = True

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Tensor:
        frames = [
            self._frame(view, frame)
            for view in self.episodes[index]
            for frame in view.frames(self.stored[view.video])
        ]
        return torch.stack(frames)

    def _frame(self, view: View, frame: int) -> Tensor:
        with Image.open(self.files[view.video, frame]) as file:
            image = functional.resize(file.convert("RGB"), RESIZE)
        top, left = corner(view.crop, stored=(image.height, image.width), size=self.size)
        image = functional.crop(image, top, left, self.size, self.size)
        image = functional.hflip(image) if view.flip else image
        if not self.normalised:
            pixels: Tensor = functional.pil_to_tensor(image)
            return pixels
        normalised: Tensor = functional.normalize(functional.to_tensor(image), MEAN, STD)
        return normalised


@dataclass(frozen=True)
class VideoFiles(Dataset[Tensor]):
    """Episodes from videos, decoded as an episode is read."""

    episodes: Sequence[Sequence[View]]
    size: int
    files: Mapping[str, Path]

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Tensor:
        return torch.cat([self._clip(view) for view in self.episodes[index]])

    def _clip(self, view: View) -> Tensor:
        from decord import VideoReader

        video = VideoReader(str(self.files[view.video]), num_threads=1)
        frames = torch.from_numpy(video.get_batch(view.frames(len(video))).asnumpy())
        clip = functional.resize(frames.permute(0, 3, 1, 2).float() / 255, RESIZE)
        top, left = corner(view.crop, stored=(clip.shape[2], clip.shape[3]), size=self.size)
        clip = functional.crop(clip, top, left, self.size, self.size)
        clip = functional.hflip(clip) if view.flip else clip
        normalised: Tensor = functional.normalize(clip, MEAN, STD)
        return normalised


def jpeg_files(
    store: Store, episodes: Sequence[Sequence[View]], *, size: int, folder: Path
) -> JpegFiles:
    """Write the frames of ``episodes`` as the field does: ``folder/video/frame.jpg``."""
    views = [view for episode in episodes for view in episode]
    stored = {view.video: store.videos[view.video].frames for view in views}
    files: dict[tuple[str, int], Path] = {}
    for number, (video, count) in enumerate(stored.items()):
        (folder / str(number)).mkdir()
        frames = sorted({f for v in views if v.video == video for f in v.frames(count)})
        for frame, jpeg in zip(frames, store.jpegs(video, frames), strict=True):
            files[video, frame] = folder / str(number) / f"{frame:05d}.jpg"
            files[video, frame].write_bytes(jpeg.data)
    return JpegFiles(episodes, size, files, stored)


def video_files(
    store: Store, episodes: Sequence[Sequence[View]], *, size: int, root: Path
) -> VideoFiles:
    """Find the videos of ``episodes`` below the ``root`` that the store was prepared from.

    Raises `UserError` where decord or a video is missing.
    """
    if find_spec("decord") is None:
        raise UserError("--videos needs decord, which is not installed; pip install 'tasd[bench]'")
    found = {video.id: root / video.path for video in scan(DATASETS[store.dataset], root).videos}
    wanted = {view.video for episode in episodes for view in episode}
    if missing := sorted(wanted - found.keys()):
        raise UserError(
            f"--videos {root} lacks {len(missing)} videos of the store {store.path}, such as "
            f"{missing[0]!r}; name the folder that the store was prepared from"
        )
    return VideoFiles(episodes, size, {video: found[video] for video in wanted})
