"""Campaigns of ``make test-long``: a thousand kills, ten thousand damaged videos.

Each goes on where it stopped: see `tests.prep.campaign`.
"""

import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg
from prep.limits import Limits
from prep.report import remark_on
from tasd.datasets import SourceVideo
from tests.archives import files_of, write_tar
from tests.prep.campaign import Outcome, campaign, damaged, number_of
from tests.prep.conftest import content
from tests.prep.processes import kill_group, start_prep, wait_for
from tests.videos import make_tree

DAY = 24 * 3600
# Twelve containers and as many codecs.
VICTIMS = (
    "mpeg4_forty.avi",
    "h264_forty.mp4",
    "h264_sound.mkv",
    "vp9.webm",
    "stream.ts",
    "flash.flv",
    "mpeg1.mpg",
    "windows.wmv",
    "h263.3gp",
    "animated.gif",
    "bare.h264",
    "theora.ogv",
    "dv.mxf",
    "prores.mov",
    "hevc.mp4",
    "vp8_alpha.webm",
    "motion_jpeg.avi",
    "fragmented.mp4",
)
SETTINGS = FrameSettings(frames=4, size=32)
LIMITS = Limits(seconds=20, seconds_per_mib=0)
TOGETHER = 8


@dataclass(frozen=True)
class Kind:
    """What is prepared and killed.

    root: from a folder and a clip to the root of a prep. step: files of a store whose number
    tells how far a prep has come, most: how many there may be.
    """

    root: Callable[[Path, Path], Path]
    step: str
    most: int


def files(folder: Path, clip: Path) -> Path:
    """Ten classes of eight files."""
    return make_tree(folder / "videos", clip, classes=10, videos=8)


def archives(folder: Path, clip: Path) -> Path:
    """The same files in two archives; the first has some of the members of each class."""
    root = folder / "archives"
    root.mkdir()
    members = files_of(files(folder, clip))
    for part in range(2):
        write_tar(root / f"part_{part}.tar.gz", members[part::2], "w:gz")
    return root


SHARDS = 8
KINDS = {
    "files": Kind(files, "shard-*.h5", SHARDS - 1),
    # Frames wait one by one, and leave when their shard is written.
    "archives": Kind(archives, "**/*", 100),
}


def kill_once(root: Path, store: Path, seed: int, kind: Kind) -> Outcome:
    """Kill a prep at up to five moments that a seed gives, then let it finish."""
    chance = random.Random(seed)
    moments, kills = [], 0
    reached = lambda: len(list(store.glob(kind.step)))  # noqa: E731
    for _ in range(chance.randint(1, 5)):
        at = chance.randint(-1, kind.most)
        moments.append(at)
        process = start_prep(root, store)
        # A prep may also end before its moment comes.
        wait_for(
            lambda at=at, process=process: at < 0 or reached() > at or process.poll() is not None
        )
        time.sleep(chance.uniform(0, 1.0 if at < 0 else 0.3))
        if process.poll() is None:
            kill_group(process)
            kills += 1
        else:
            process.communicate()
    process = start_prep(root, store)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, (seed, errors)
    return {"seed": seed, "moments": moments, "kills": kills}


@pytest.mark.long
@pytest.mark.timeout(DAY)
@pytest.mark.skipif(sys.platform != "linux", reason="kills process groups")
@pytest.mark.parametrize("name", KINDS)
def test_a_thousand_kills_change_no_byte(name: str, tmp_path: Path, clips: dict[str, Path]) -> None:
    kind = KINDS[name]
    root = kind.root(tmp_path, clips["h264_forty.mp4"])
    process = start_prep(root, tmp_path / "undisturbed")
    process.communicate(timeout=600)
    expected = content(tmp_path / "undisturbed")
    assert sum(name.startswith("shard") for name in expected) == SHARDS

    def step(seed: int) -> Iterator[Outcome]:
        store = tmp_path / f"store{seed}"
        outcome = kill_once(root, store, seed, kind)
        same = content(store) == expected and not list(store.glob(".archives/*-*"))
        yield {**outcome, "result": "same" if same else "other"}
        if same:
            shutil.rmtree(store)

    done = campaign(tmp_path / "log", f"kills-{name}", number_of("TASD_KILLS", 200), step)
    print(sum(int(str(outcome["kills"])) for outcome in done), "kills")
    assert {outcome["result"] for outcome in done} == {"same"}


def judged(path: Path, clip: Clip | UnreadableVideo, seconds: float, sound: int) -> str:
    """Call an outcome by its name; "lost", "silent" and "slow" are faults.

    sound: frames of the video before it was damaged. "shorter" are those that look whole to any
    decoder, as a stream does that ends after a packet.
    """
    remarks = remark_on(SourceVideo("c", path.name, path.name, 1), clip, SETTINGS)
    if seconds > 3 * LIMITS.seconds:
        return "slow"
    if isinstance(clip, UnreadableVideo):
        told = str(clip) and clip.code and str(path.parent) not in str(clip)
        return "told" if told and remarks else "silent"
    if len(clip.jpegs) != SETTINGS.frames:
        return "lost"
    if remarks:
        return "remarked"
    frame = clip.header_seconds / clip.header_frames if clip.header_frames else 0.0
    dropped = clip.seconds + 3 * frame >= 0.95 * clip.header_seconds > 0
    if clip.header_frames - clip.decoded > 2 + clip.header_frames // 20 and not dropped:
        return "silent"
    return "shorter" if clip.decoded < sound else "whole"


@pytest.mark.long
@pytest.mark.timeout(DAY)
def test_ten_thousand_damaged_videos_are_prepared_or_told(
    tool: Ffmpeg, tmp_path: Path, campaign_clips: dict[str, Path]
) -> None:
    decoder = Decoder(tool, SETTINGS, LIMITS)
    paths = [campaign_clips[name] for name in VICTIMS]
    sources = [path.read_bytes() for path in paths]
    sound = [clip.decoded for clip in decoder.decode(paths) if isinstance(clip, Clip)]
    assert len(sound) == len(VICTIMS)

    def step(first: int) -> Iterator[Outcome]:
        mine: dict[Path, Outcome] = {}
        for seed in range(first, first + TOGETHER):
            chance = random.Random(seed)
            number = seed % len(VICTIMS)
            kind, broken = damaged(sources[number], chance)
            path = tmp_path / f"{seed:05}-{VICTIMS[number]}"
            path.write_bytes(broken)
            mine[path] = {"seed": seed, "clip": VICTIMS[number], "damage": kind}
        began = time.monotonic()
        clips = decoder.decode(list(mine))
        seconds = (time.monotonic() - began) / TOGETHER
        for (path, outcome), clip in zip(mine.items(), clips, strict=True):
            code = clip.code if isinstance(clip, UnreadableVideo) else ""
            whole = sound[VICTIMS.index(str(outcome["clip"]))]
            yield {**outcome, "result": judged(path, clip, seconds, whole), "code": code}
            path.unlink()

    done = campaign(tmp_path / "log", "damages", number_of("TASD_DAMAGES", 10_000), step)
    faults = [outcome for outcome in done if outcome["result"] in ("lost", "silent", "slow")]
    assert faults == []


@pytest.fixture(scope="module")
def campaign_clips(
    clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The clips of the other tests, and those of three more containers."""
    from tests.videos import SMALL, run_ffmpeg

    folder = tmp_path_factory.mktemp("more")
    more = {
        "theora.ogv": "-c:v libtheora",
        "dv.mxf": "-c:v mpeg2video -r 25",
        "prores.mov": "-c:v prores_ks",
    }
    for name, codec in more.items():
        run_ffmpeg(*SMALL.split(), *codec.split(), folder / name)
    return {**clips, **{name: folder / name for name in more}}


def test_a_campaign_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASD_CAMPAIGNS", raising=False)
    begun: list[int] = []

    def step(seed: int) -> Iterator[Outcome]:
        begun.append(seed)
        yield {"seed": seed, "result": "same"}

    campaign(tmp_path, "kills", 3, step)
    log = tmp_path / "kills.jsonl"
    log.write_text(log.read_text()[:-4])
    assert [outcome["seed"] for outcome in campaign(tmp_path, "kills", 5, step)] == [*range(5)]
    assert begun == [0, 1, 2, 2, 3, 4]
