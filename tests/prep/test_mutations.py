"""Damaged files: never a crash, a hang, or a loss that is not reported."""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg
from prep.limits import Limits
from prep.report import remark_on
from tasd.datasets import SourceVideo

SETTINGS = FrameSettings(frames=4, size=32)
LIMITS = Limits(seconds=20, seconds_per_mib=0)
VIDEOS = {".mp4", ".avi", ".mkv", ".webm", ".mov"}
TINY = ["mpeg4_forty.avi", "h264_forty.mp4", "h264_sound.mkv", "vp9.webm", "stream.ts", "flash.flv"]


def flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 4, 40, 400))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def spliced(content: bytes, chance: random.Random) -> bytes:
    """Remove, double or zero a piece of a file."""
    a, b = sorted(chance.randrange(len(content)) for _ in range(2))
    middle = chance.choice((b"", content[a:b] * 2, bytes(b - a), content[b:] + content[a:b]))
    return content[:a] + middle + content[b:]


def mutated(folder: Path, sources: list[Path], count: int, seed: int) -> Iterator[Path]:
    chance = random.Random(seed)
    for number in range(count):
        source = chance.choice(sources)
        damage = chance.choice((flipped, cut, spliced))
        path = folder / f"{number:05}-{damage.__name__}-{source.name}"
        path.write_bytes(damage(source.read_bytes(), chance))
        yield path


def check(paths: list[Path], tool: Ffmpeg, settings: FrameSettings) -> int:
    """Decode eight at a time, check that every loss is reported, and return their number."""
    decoder = Decoder(tool, settings, LIMITS)
    groups = [paths[start : start + 8] for start in range(0, len(paths), 8)]
    with ThreadPoolExecutor(2) as pool:
        clips = [clip for group in pool.map(decoder.decode, groups) for clip in group]
    assert len(clips) == len(paths)
    reported = 0
    for path, clip in zip(paths, clips, strict=True):
        remarks = remark_on(SourceVideo("c", path.name, path.name, 1), clip, settings)
        reported += bool(remarks)
        if isinstance(clip, UnreadableVideo):
            assert str(clip), path.name
            assert "more than" not in str(clip), (path.name, str(clip))
            assert str(path.parent) not in str(clip)
        else:
            assert isinstance(clip, Clip)
            assert len(clip.jpegs) == settings.frames
            lost = clip.header_frames - clip.decoded
            assert remarks or lost <= 2 + clip.header_frames // 20, path.name
    return reported


def test_eighty_damaged_videos_are_prepared_or_reported(
    tool: Ffmpeg, clips: dict[str, Path], tmp_path: Path
) -> None:
    # Genuine ones among them where there are any; nearly as good without.
    data = Path(os.environ.get("TASD_TEST_DATA", "nowhere"))
    real = sorted((data / "data/groups25/g02").glob("*.mp4"))
    sources = [clips[name] for name in TINY] + real
    paths = list(mutated(tmp_path, sources, 80, seed=1))
    assert check(paths, tool, SETTINGS) > 40


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_thousands_of_damaged_genuine_videos_are_prepared_or_reported(
    tool: Ffmpeg, shared: Path, tmp_path: Path
) -> None:
    found = sorted((shared / "data").rglob("*.*"))
    real = [path for path in found if path.suffix in VIDEOS and path.stat().st_size]
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        paths = list(mutated(folder, real, 300, seed))
        check(paths, tool, SETTINGS)
        for path in paths:
            path.unlink()
