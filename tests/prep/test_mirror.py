"""A made-up mirror of Kinetics: 10,000 wanted names in 12 tar.gz parts, among 300,000 others.

``TASD_MIRROR_NAMES`` sets another number of names, ``TASD_MIRROR_OTHERS`` one of unwanted members
(30 for each name), and ``TASD_MIRROR_KILLS`` one of kills.
"""

import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.archives import write_tar
from tests.prep.processes import kill_group, wait_for
from tests.prep.test_archives import made

NAMES = int(os.environ.get("TASD_MIRROR_NAMES", "10000"))
KILLS = int(os.environ.get("TASD_MIRROR_KILLS", "20"))
PARTS, UNWANTED = 12, int(os.environ.get("TASD_MIRROR_OTHERS", str(30 * NAMES)))
CLASSES = [f"class {number:03}" for number in range(100)]
MEASURED = """
import resource, signal, sys, time, typer
signal.signal(signal.SIGINT, signal.default_int_handler)
began = time.monotonic()
from prep.progress import ProgressBar
begin = ProgressBar.begin
def told(self, videos, size):
    print(f"planned in {time.monotonic() - began:.2f} s", file=sys.stderr, flush=True)
    begin(self, videos, size)
ProgressBar.begin = told
from tasd.cli.prep import prep
try: typer.run(prep)
finally:
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print("KiB", status["VmHWM"].split()[0], workers, file=sys.stderr)
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(6 * 3600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def names() -> list[str]:
    chance = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    ids = ("".join(chance.choices(letters, k=11)) for _ in range(NAMES))
    return [f"{chance.choice(CLASSES)}/{id_}_000010_000020" for id_ in ids]


@pytest.fixture(scope="module")
def contents(clips: dict[str, Path]) -> list[bytes]:
    return [clips[name].read_bytes() for name in ("h264.mp4", "mpeg4.avi", "h264_forty.mp4")]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> Path:
    path = tmp_path_factory.mktemp("mirror") / "list.txt"
    path.write_text("\n".join(names))
    return path


@pytest.fixture(scope="module")
def files(listed: Path, names: list[str], contents: list[bytes]) -> Path:
    """The wanted files alone, as they would be unpacked: flat, hard links to a few clips."""
    root = listed.parent / "files"
    root.mkdir()
    for number, content in enumerate(contents):
        (root.parent / f"clip{number}").write_bytes(content)
    for number, name in enumerate(names):
        clip = root.parent / f"clip{number % len(contents)}"
        os.link(clip, root / f"{name.rpartition('/')[2]}.mp4")
    return root


@pytest.fixture(scope="module")
def mirror(listed: Path, names: list[str], contents: list[bytes]) -> Path:
    root = listed.parent / "mirror"
    root.mkdir()
    chance = random.Random(1)
    for part in range(PARTS):
        members = [
            (f"./{name.rpartition('/')[2]}.mp4", contents[number % len(contents)])
            for number, name in enumerate(names)
            if number % PARTS == part
        ]
        members += [
            (f"./other{part}_{n:06}_000000_000010.mp4", b"") for n in range(UNWANTED // PARTS)
        ]
        chance.shuffle(members)
        write_tar(root / f"part_{part}.tar.gz", members, "w:gz")
    return root


def start(root: Path, store: Path, listed: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MEASURED, "folder", "--root", str(root), "--store", str(store)]
    command += ["--list", str(listed), "--frames", "4", "--size", "64", "--shard-mib", "1"]
    return subprocess.Popen(
        [*command, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(root: Path, store: Path, listed: Path) -> str:
    process = start(root, store, listed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return errors


@pytest.fixture(scope="module")
def expected(files: Path, listed: Path) -> dict[str, bytes]:
    finish(files, listed.parent / "from files", listed)
    return made(listed.parent / "from files")


def test_a_mirror_is_prepared_in_one_pass_and_flat_memory(
    mirror: Path, listed: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    began = time.monotonic()
    errors = finish(mirror, tmp_path / "store", listed)
    seconds = time.monotonic() - began
    planned = float(errors.partition("planned in ")[2].split()[0])
    main, workers = map(int, errors.rpartition("KiB")[2].split()[:2])
    print(
        f"\n{NAMES:,} of {NAMES + UNWANTED:,} members: planned in {planned:.1f} s, all in "
        f"{seconds:.0f} s, {main >> 10} MiB and {workers >> 10} MiB a worker"
    )
    assert made(tmp_path / "store") == expected
    assert errors.count("to read in place") == 1
    assert planned < 60
    assert max(main, workers) < 500 << 10


def test_a_mirror_killed_on_the_way_goes_on_to_the_same_bytes(
    mirror: Path, listed: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    store, chance = tmp_path / "store", random.Random(2)
    frames = lambda: sum(1 for _ in store.glob(".archives/frames-*/*/*"))  # noqa: E731
    most = 0
    for kill in range(KILLS):
        goal = NAMES * kill // KILLS
        process = start(mirror, store, listed)
        wait_for(lambda: frames() > goal or process.poll() is not None, seconds=3600)  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))
        kill_group(process)
        assert frames() >= most or list(store.glob("shard-*.h5"))
        most = max(most, frames())
    errors = finish(mirror, store, listed)
    assert made(store) == expected, errors
    assert not list(store.glob(".archives/*-*"))


def test_the_members_are_as_the_listing_says(mirror: Path) -> None:
    with tarfile.open(mirror / "part_0.tar.gz") as archive:
        sizes = [member.size for member in archive]
    assert sizes.count(0) == UNWANTED // PARTS
