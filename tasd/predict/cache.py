"""What the network said of a support clip, kept under a name that tells all it depends on."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from prep.ffmpeg_process import Ffmpeg
from prep.shard import fingerprint
from tasd.predict.clips import clip_features, source_of, whole
from tasd.predict.trained import TrainedNetwork
from tasd.types import Features


@dataclass(frozen=True)
class SupportSeen:
    """Features of the clips that could be read, why not of the others, how many were known."""

    known: Mapping[Path, Features]
    problems: Mapping[str, str]
    hits: int


def support_features(
    trained: TrainedNetwork, clips: Mapping[str, Sequence[Path]], tool: Ffmpeg, *, keep: bool
) -> SupportSeen:
    """Features of the clips of all classes, from what is kept beside the network or computed."""
    cache = SupportCache(trained.path / "features" / "support" if keep else None, trained, tool)
    paths = list(dict.fromkeys(path for own in clips.values() for path in own))
    known = {path: found for path in paths if (found := cache.get(path)) is not None}
    hits, problems = len(known), {}
    rest = [path for path in paths if path not in known]
    views_of = whole(trained.config.data.frames)
    for clip in clip_features(trained, rest, tool, settings=trained.frames, views_of=views_of):
        if clip.features is None:
            problems[str(clip.path)] = clip.problem
        else:
            known[clip.path] = clip.features
            cache.put(clip.path, clip.features)
    return SupportSeen(known, problems, hits)


class SupportCache:
    """Features of clips, a file each, below ``folder``; nothing is kept where that is None."""

    def __init__(self, folder: Path | None, trained: TrainedNetwork, tool: Ffmpeg) -> None:
        self.folder = folder
        self._device = trained.model.mean.device
        data, model = trained.config.data, trained.model
        self._key = {
            "checkpoint": trained.identity,
            "network": trained.network,
            "precision": model.precision,
            "settings": trained.frames.as_json(),
            "frames": data.frames,
            "crop": data.crop,
            "ffmpeg": tool.version,
        }

    def get(self, clip: Path) -> Features | None:
        """What is known of a clip with this content; None where nothing is."""
        if self.folder is None:
            return None
        try:
            found = load_file(self._file(clip), device=str(self._device))
            return Features(found["frames"], found.get("maps"))
        except (OSError, SafetensorError, KeyError):  # not there, or not whole
            return None

    def put(self, clip: Path, features: Features) -> None:
        """Keep it; where the folder cannot be written to, it is computed again next time."""
        if self.folder is None:
            return
        tensors = {"frames": features.frames.cpu().contiguous()}
        if features.maps is not None:
            tensors["maps"] = features.maps.cpu().contiguous()
        file = self._file(clip)
        temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(OSError, SafetensorError):
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, temporary)
            os.replace(temporary, file)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

    def _file(self, clip: Path) -> Path:
        assert self.folder is not None
        key = {**self._key, "clip": fingerprint(source_of(clip, clip.name), Path("/"))}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / f"clip-{digest[:32]}.safetensors"
