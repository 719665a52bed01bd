"""Summary of a store, and contact sheets of its videos, for ``tasd show STORE``."""

import difflib
import io
import math
from pathlib import Path

from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from prep.progress import megabytes
from tasd.errors import UserError
from tasd.files import write_bytes
from tasd.foreign import clean
from tasd.progress import counted
from tasd.store import Store

COLUMNS = 8
CELL = 128
MARGIN = 4
TEXT = 14


def show_store(path: Path, *, video: str | None = None, out: Path | None = None) -> None:
    """Print the summary of a store, or draw the frames of one video. Raises `UserError`."""
    with Store(path) as store:
        if video is None:
            if out is not None:
                raise UserError(
                    f"--out {out} is for the frames of one video; name the video with --video"
                )
            _print(store, Console(highlight=False))
            return
        name = find_video(store, video)
        target = out or Path(f"{name.replace('/', '-')}.png")
        sheet = contact_sheet(store, name)
        kind = Image.registered_extensions().get(target.suffix.lower())
        if kind not in Image.SAVE:
            raise UserError(f"--out {target}: no picture ends in that; name a .png file")
        drawn = io.BytesIO()
        sheet.save(drawn, kind)
        write_bytes(target, drawn.getvalue())
        print(clean(f"{name}: {counted(store.videos[name].frames, 'frame')} -> {target}"))


def find_video(store: Store, video: str) -> str:
    """Find a video by its id, or by its name where only one has that name. Raises `UserError`."""
    if video in store.videos:
        return video
    same = [known.id for known in store.videos.values() if known.name == video]
    if len(same) == 1:
        return same[0]
    close = same or difflib.get_close_matches(video, store.videos, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "ids are class/name"
    raise UserError(f"no single video of {store.path} is called {video!r}; {hint}")


def contact_sheet(store: Store, video: str) -> Image.Image:
    """Draw all frames of a video in rows, each with its number and time."""
    frames = range(store.videos[video].frames)
    height, width = store.videos[video].size
    scale = CELL / max(height, width)
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = (cell[0] + MARGIN, cell[1] + TEXT + MARGIN)
    rows = math.ceil(len(frames) / COLUMNS)
    columns = min(COLUMNS, len(frames))
    size = (columns * step[0] + MARGIN, rows * step[1] + MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    times = store.frame_times(video)
    for frame in frames:
        jpeg = store.jpegs(video, [frame])[0].tobytes()
        with Image.open(io.BytesIO(jpeg)) as image:
            small = image.resize(cell, Image.Resampling.BICUBIC)
        left = MARGIN + frame % COLUMNS * step[0]
        top = MARGIN + frame // COLUMNS * step[1]
        sheet.paste(small, (left, top))
        draw.text((left, top + cell[1]), _label(frame, float(times[frame])), fill="black")
    return sheet


def _label(frame: int, time: float) -> str:
    return f"{frame}" if math.isnan(time) else f"{frame}: {time:.2f} s"


def _print(store: Store, console: Console) -> None:
    manifest = store.manifest
    frames = sum(video.frames for video in store.videos.values())
    size = megabytes(sum(shard.length for shard in manifest.shards))
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in store.settings.items()
        if value is not None
    )
    lines = [
        f"{store.path}: {store.dataset}, {size} in {counted(len(manifest.shards), 'shard')}",
        f"{counted(len(store.videos), 'video')}, {counted(frames, 'frame')}; {settings}",
        f"prepared by ffmpeg {manifest.ffmpeg}; hash {store.hash}",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    console.print(_splits(store))


def _splits(store: Store) -> Table:
    table = Table(show_edge=False)
    table.add_column("split")
    for title in ("classes", "videos", "fewest in a class", "most"):
        table.add_column(title, justify="right")
    for split, classes in store.splits.items():
        counts = [len(videos) for videos in store.classes(split).values()]
        bounds = (min(counts), max(counts)) if counts else ("", "")
        there = f"{len(counts)} of {len(classes)}" if len(counts) < len(classes) else len(counts)
        table.add_row(split, *map(str, (there, sum(counts), *bounds)))
    return table
