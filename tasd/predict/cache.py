"""Features of clips, cached in files whose names hash all that the features depend on.

The matcher is not among it, so that matchers can be compared on clips that are decoded once.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from prep.ffmpeg_process import Ffmpeg
from prep.shard import MOST_TOGETHER, fingerprint
from tasd.episodes import evaluation_view
from tasd.extraction.inference import folds
from tasd.files import as_json, replacing
from tasd.predict.clips import ClipFeatures, ClipView, clip_features, source_of, whole_clip
from tasd.predict.trained import TrainedNetwork
from tasd.types import Features


def whole_clips(
    trained: TrainedNetwork, paths: Sequence[Path], tool: Ffmpeg, *, use: bool, keep: bool
) -> Iterator[ClipFeatures]:
    """Read the features of whole clips from the cache, or compute them, a few at a time, in order.

    paths: each once. use: look into the cache in the folder of the network. keep: store there what
    is computed.
    """
    folder = trained.path / "features" / "support"
    cache = FeatureCache(folder if use else None, trained, tool)
    views_of = whole_clip(trained.config.data.frames)
    for start in range(0, len(paths), MOST_TOGETHER):
        several = paths[start : start + MOST_TOGETHER]
        cached = {path: found for path in several if (found := cache.get(path)) is not None}
        missing = [path for path in several if path not in cached]
        computed = clip_features(trained, missing, tool, settings=trained.frames, views_of=views_of)
        for path in several:
            if path in cached:
                yield cached[path]
                continue
            clip = next(computed)
            if keep:
                cache.put(clip)
            yield clip


class FeatureCache:
    """Features of clips, a file for each, below ``folder``; None caches nothing."""

    def __init__(self, folder: Path | None, trained: TrainedNetwork, tool: Ffmpeg) -> None:
        self.folder = folder
        self._device = trained.model.mean.device
        self._frames = trained.config.data.frames
        self._key = {
            **trained.feature_settings,
            "precision": trained.model.precision,
            "ffmpeg": tool.version,
        }
        if folds(trained.model, self._device):  # rounds otherwise than the network as trained
            self._key["folded"] = True

    def get(self, clip: Path) -> ClipFeatures | None:
        """The cached features of a clip with this content; None where there are none."""
        if self.folder is None:
            return None
        try:
            with safe_open(self._file(clip), "pt", device=str(self._device)) as file:
                maps = file.get_tensor("maps") if "maps" in list(file.keys()) else None
                features = Features(file.get_tensor("frames"), maps)
                note = (file.metadata() or {}).get("note", "")
        except (OSError, SafetensorError, KeyError):  # missing or damaged
            return None
        view = ClipView(evaluation_view(str(clip), self._frames))
        return ClipFeatures(clip, features, (view,), note=note, cached=True)

    def put(self, clip: ClipFeatures) -> None:
        """Cache the features of a clip; does nothing where the folder cannot be written to."""
        if self.folder is None or clip.features is None:
            return
        tensors = {"frames": clip.features.frames.cpu().contiguous()}
        if clip.features.maps is not None:
            tensors["maps"] = clip.features.maps.cpu().contiguous()
        with (
            contextlib.suppress(OSError, SafetensorError),
            replacing(self._file(clip.path)) as temporary,
        ):
            save_file(tensors, temporary, metadata={"note": clip.note})

    def _file(self, clip: Path) -> Path:
        assert self.folder is not None
        key = {**self._key, "clip": fingerprint(source_of(clip, clip.name), Path("/"))}
        digest = hashlib.sha256(as_json(key, sort_keys=True, ascii=True).encode()).hexdigest()
        return self.folder / f"clip-{digest[:32]}.safetensors"
