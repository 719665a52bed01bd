"""Figure 3 of the paper: the attention of student and teacher, early and late in training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from tasd.episodes import evaluation_view
from tasd.errors import UserError
from tasd.extraction.attention import Attention, attention
from tasd.loader import open_views
from tasd.report.outcome import Outcome
from tasd.report.style import PAGE, new_figure, style
from tasd.report.style import label as label_of
from tasd.runs import checkpoint
from tasd.store import Store

FRAMES_SHOWN = 4
COLOURS = colormaps["inferno"]  # rises in lightness: readable for all, and in grey


def kept_checkpoints(outcome: Outcome) -> list[Path]:
    """Return the first checkpoint that was kept and the best one: early and late in training."""
    early = sorted(outcome.run.checkpoints.glob("episode-*.pt"))
    late = [outcome.run.best] if outcome.run.best.exists() else early[-1:]
    return [*early[:1], *late]


def attention_figure(
    checkpoints: Sequence[Path],
    store: Store,
    *,
    class_name: str | None = None,
    video: str | None = None,
    split: str = "test",
) -> Figure:
    """Draw a row for each network of each checkpoint, on one video of a class.

    class_name: by default the first class of the split. video: its id, by default that of the
    first video of the class. Raises `UserError` where the store lacks them.
    """
    chosen = _video(store, class_name, video, split)
    found: list[Attention] = []
    seen: set[int] = set()
    frames: Tensor | None = None
    for path in checkpoints:
        saved = checkpoint.load(path)
        if saved.progress.episode in seen:  # the best may also be among those kept
            continue
        seen.add(saved.progress.episode)
        if frames is None:
            view = evaluation_view(chosen, saved.config.data.frames)
            pixels = open_views(store, [[view]], size=saved.config.data.crop, device="cpu")
            frames = next(iter(pixels))
        for name, model in checkpoint.networks(saved).items():
            model.precision = "float32"
            label = f"{name}\nepisode {saved.progress.episode:,}"
            found.append(attention(model, frames, label=label))
    if frames is None:
        raise UserError("no checkpoint to look at; name some with --checkpoint")
    return _draw(found, frames[0].numpy(), chosen)


def _video(store: Store, class_name: str | None, video: str | None, split: str) -> str:
    if video is not None:
        if video not in store.videos:
            raise UserError(f"--video {video!r} is not in {store.path}; see tasd show {store.path}")
        return video
    classes = store.classes() if class_name is not None else store.classes(split)
    name = class_name if class_name is not None else next(iter(classes), None)
    if name is None or name not in classes:
        raise UserError(
            f"--class {name!r} is no class of {store.path}; there are: {', '.join(classes)}"
        )
    return classes[name][0]


def _draw(
    found: Sequence[Attention], frames: UInt8[np.ndarray, "time height width 3"], video: str
) -> Figure:
    times = np.linspace(0, len(frames) - 1, min(FRAMES_SHOWN, len(frames))).round().astype(int)
    width, rows = 2 + len(times), 1 + len(found)
    with style():
        side = PAGE / (width + 0.4)
        figure = new_figure(PAGE, side * rows + 0.35)
        grid = np.atleast_2d(figure.subplots(rows, width - 1, squeeze=False))
        for axes in grid.ravel():
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        middle = frames[len(frames) // 2]
        for column, time in enumerate((None, *times)):
            picture = middle if time is None else frames[time]
            title = "all frames" if time is None else f"frame {time + 1}"
            grid[0, column].set_title(title, loc="center")
            grid[0, column].imshow(picture)
            for row, seen in enumerate(found, start=1):
                heat = seen.video if time is None else seen.frames[time]
                grid[row, column].imshow(overlay(picture, heat))
        grid[0, 0].set_ylabel("video", rotation=0, ha="right", va="center")
        for row, seen in enumerate(found, start=1):
            grid[row, 0].set_ylabel(seen.label, rotation=0, ha="right", va="center")
        figure.supxlabel(
            f"{label_of(video)}; brighter: larger mean absolute activation within the row"
        )
    return figure


def overlay(
    frame: UInt8[np.ndarray, "height width 3"], heat: Float[Tensor, "rows columns"]
) -> Float[np.ndarray, "height width 3"]:
    """Colour the attention, and shade it by the brightness of the frame."""
    size = (frame.shape[0], frame.shape[1])
    smooth = functional.interpolate(heat[None, None], size=size, mode="bilinear")[0, 0].numpy()
    grey = ((frame / 255) @ np.array([0.299, 0.587, 0.114])) ** 0.7  # dark scenes print too
    # Without the map's black and white ends the scene stays visible everywhere.
    return np.asarray((0.3 + 0.7 * grey[..., None]) * COLOURS(0.15 + 0.7 * smooth)[..., :3])
