"""A made-up Kinetics of 10,000 files with the names of CMN's lists, some missing, some broken."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.clip import FrameSettings
from prep.plan import plan_shards
from prep.report import Report
from prep.sources import find_sources
from tasd.datasets import DATASETS

MISSING, BROKEN = 500, 50
BROKEN_OFF = b"the download broke off"


@pytest.fixture(scope="module")
def lists(shared: Path) -> list[Path]:
    return sorted((shared / "splits").glob("kinetics100_cmn_*.txt"))


@pytest.fixture(scope="module")
def tree(
    tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path], lists: list[Path]
) -> Path:
    """Make hard links of one clip, with the folders and names of a usual download."""
    root = tmp_path_factory.mktemp("kinetics") / "train_256"
    names = [line for path in lists for line in path.read_text().split("\n") if line.strip()]
    chance = random.Random(0)
    chance.shuffle(names)
    for number, name in enumerate(names[MISSING:]):
        path = root / f"{name.strip()}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < BROKEN:
            path.write_bytes(BROKEN_OFF)
        else:
            os.link(clips["one_frame.mp4"], path)
    return root.parent


def test_ten_thousand_videos_are_found_and_planned(tree: Path, lists: list[Path]) -> None:
    sources = find_sources(DATASETS["kinetics"], tree, lists, split_rule=None, say=print)
    assert len(sources.videos) == 10_000 - MISSING
    assert len(sources.missing) == MISSING
    plan = plan_shards(sources.videos, (), settings=FrameSettings())
    assert sum(len(shard.videos) for shard in plan) == 10_000 - MISSING
    assert 16 <= len(plan) <= 40


def test_the_report_is_right_for_some_of_them(
    run: Callable[..., Report], tree: Path, lists: list[Path], tmp_path: Path
) -> None:
    lines = [line for path in lists for line in path.read_text().split("\n") if line.strip()]
    sizes = {line: _size(tree / f"train_256/{line.strip()}.mp4") for line in lines}
    broken = [line for line in lines if sizes[line] == len(BROKEN_OFF)]
    chosen = random.Random(1).sample([line for line in lines if line not in broken], 150)
    some = tmp_path / "some.txt"
    some.write_text("\n".join([*chosen, *broken[:3]]))
    missing = sum(sizes[line] is None for line in chosen)
    assert 0 < missing < 20
    report = run(tree, dataset="kinetics", lists=(some,), workers=2)
    counts = report.counts
    assert counts["prepared"] == 150 - missing
    assert (counts["unreadable"], counts["missing"]) == (3, missing)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_of_them_are_prepared_in_flat_memory(
    tree: Path, lists: list[Path], tmp_path: Path
) -> None:
    # Not ru_maxrss for prep itself: it would begin at the size of pytest, which starts prep.
    measure = (
        "import resource, sys, typer; from tasd.cli.prep import prep\n"
        "try: typer.run(prep)\n"
        "finally:\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "    print(status['VmHWM'].split()[0], workers, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", measure, "kinetics", "--root", str(tree), "--json"]
    command += ["--store", str(tmp_path / "store"), "--frames", "4", "--size", "64"]
    for path in lists:
        command += ["--list", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert counts["missing"] == MISSING
    assert counts["unreadable"] == BROKEN
    assert counts["prepared"] == 10_000 - MISSING - BROKEN
    assert max(map(int, done.stderr.split()[-2:])) < 500 << 10


def test_replacements_of_the_usual_mirror_win_over_broken_files(
    run: Callable[..., Report], shared: Path
) -> None:
    case = shared / "cases/cvdf_replacement"
    report = run(case / "root", dataset="kinetics", lists=(case / "list.txt",))
    assert (report.counts["unreadable"], report.counts["missing"]) == (0, 0)
    (replaced,) = [problem for problem in report.problems if problem.kind == "replaced"]
    assert replaced.count == 2
