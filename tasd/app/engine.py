"""The network behind the page: it reads clips, keeps examples and answers. For one thread."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prep.ffmpeg_process import find_ffmpeg
from tasd.device import pick_device
from tasd.errors import UserError
from tasd.predict.answer import Answer
from tasd.predict.choice import Choice
from tasd.predict.clips import ClipFeatures, ClipView, ViewsOf, clip_features, whole_clip
from tasd.predict.labeller import Labeller
from tasd.predict.leave_one_out import FEWEST_CLASSES, FEWEST_CLIPS
from tasd.predict.thumbnails import Thumbnail, with_thumbnails
from tasd.predict.trained import UNTRAINED, Threshold, on_device
from tasd.predict.windows import Windows
from tasd.store import Store

MOST_WINDOWS = 1000


@dataclass(frozen=True)
class Reading:
    """A clip as the network read it.

    clip: its features, or the problem. pictures: the frames that were read; of each window only
    the one in its middle.
    """

    clip: ClipFeatures
    pictures: tuple[Thumbnail, ...] = ()


class ReadRecognizer(Labeller):
    """A recogniser of clips that were read before, together with their thumbnails."""

    known: dict[Path, ClipFeatures]

    def features_of(self, paths: Sequence[Path], *, keep: bool) -> Iterator[ClipFeatures]:
        """Yield the features of clips that are known."""
        return (self.known[path] for path in paths)

    def _clips(self, paths: Sequence[Path], windows: Windows | None) -> Iterator[ClipFeatures]:
        return self.features_of(paths, keep=False)


class Engine:
    """A network and its examples, which come and go without a new fit.

    rejection: the threshold for "none of these" in a sentence, or the reason for having none.
    """

    def __init__(self, choice: Choice, *, device: str = "auto", store: Path | None = None) -> None:
        self.network = on_device(choice.network, pick_device(device))
        self.tool = find_ffmpeg()
        self.rejection = ""
        self._recognizer = ReadRecognizer.on_network(
            self.network, **choice.parameters(), store=store, device=device, cache=False
        )
        self._recognizer.known = {}
        self._classes: dict[Path, str] = {}

    @property
    def frames(self) -> int:
        """The number of frames that the network reads of a clip."""
        return self.network.config.data.frames

    def read(self, path: Path, windows: Windows | None = None) -> Reading:
        """Decode a clip once, for its features and its thumbnails."""
        taken: list[Thumbnail] = []

        def take(views: tuple[ClipView, ...], pictures: list[list[Thumbnail]]) -> None:
            taken.extend(picture for of_view in pictures for picture in of_view)

        network, frames = self.network, self.frames
        settings, views_of = network.frames, whole_clip(frames)
        if windows is not None:
            settings = windows.settings(network.frames, frames)
            views_of = _at_most(windows.views_of(frames), windows)
        crop = network.config.data.crop
        views_of = with_thumbnails(views_of, take, crop=crop, middle=windows is not None)
        (clip,) = clip_features(
            network,
            [path],
            self.tool,
            settings=settings,
            views_of=views_of,
            limits=None if windows is None else windows.limits,
        )
        return Reading(clip, tuple(taken))

    def learn(self, clip: ClipFeatures, path: Path) -> None:
        """Keep the features of a clip that may be an example, under a path."""
        self._recognizer.known[path] = replace(clip, path=path)

    def use(self, examples: Mapping[Path, str]) -> None:
        """Set the examples and their classes, all learnt before; others are forgotten."""
        before, recognizer = self._classes, self._recognizer
        if examples == before:
            return
        added = [path for path, name in examples.items() if before.get(path) != name]
        gone = [path for path in before if path not in examples]
        if added:
            clips: dict[str, list[Path]] = {}
            for path in added:
                clips.setdefault(examples[path], []).append(path)
            recognizer.partial_fit(clips)
        if gone:
            recognizer.forget(clips=gone)
        recognizer.known = {path: recognizer.known[path] for path in examples}
        self._classes = dict(examples)
        self._find_threshold()

    def answers(self, clip: ClipFeatures) -> list[Answer]:
        """Answer for each view of a clip that was read; needs examples of two classes or more."""
        known = self._recognizer.known
        self._recognizer.known = {**known, clip.path: clip}
        try:
            return list(self._recognizer.answers([clip.path]))
        finally:
            self._recognizer.known = known

    def _find_threshold(self) -> None:
        """Find the threshold where the examples allow one; `rejection` says which, or why not."""
        counts = Counter(self._classes.values())
        self._recognizer.reject, self.rejection = False, ""
        if len(counts) < 2:
            return
        few = len(counts) < FEWEST_CLASSES or min(counts.values()) < FEWEST_CLIPS
        if self.network.network == UNTRAINED and few:
            least = f"{FEWEST_CLASSES} classes or more with {FEWEST_CLIPS} clips or more each"
            self.rejection = f"it needs {least}"
            return
        self._recognizer.reject = True
        try:
            threshold = self._recognizer.threshold_
        except UserError as error:
            self._recognizer.reject, self.rejection = False, str(error)
        else:
            assert threshold is not None
            self.rejection = _in_words(threshold)

    @property
    def rejects(self) -> bool:
        """True where the answer may be none of these."""
        return bool(self._recognizer.reject)


def _in_words(threshold: Threshold) -> str:
    """Tell how far the threshold can be relied on."""
    where = "on validation classes" if threshold.episodes else "on your examples, left out in turn"
    little = "; that is too little to rely on" if threshold.false_accept > 0.8 else ""
    return (
        f"it turns away {1 - threshold.true_accept:.0%} of clips of these actions and "
        f"{1 - threshold.false_accept:.0%} of clips of other actions ({where}){little}"
    )


def _at_most(views_of: ViewsOf, windows: Windows) -> ViewsOf:
    """Refuse videos of more than `MOST_WINDOWS` windows."""

    def views(store: Store, clip: str) -> tuple[ClipView, ...]:
        found = views_of(store, clip)
        if len(found) > MOST_WINDOWS:
            raise UserError(
                f"it has {len(found)} windows of {windows.length:g} seconds, and {MOST_WINDOWS} "
                "are the most; take longer windows"
            )
        return found

    return views
