"""A prep of archives that was killed keeps its finished videos and ends in the same bytes."""

import json
import sys
from pathlib import Path

import pytest

from tests.archives import files_of, write_tar
from tests.prep.processes import kill_group, start_prep, wait_for
from tests.prep.test_archives import made
from tests.videos import make_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills process groups")
VIDEOS = 30


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    root = tmp_path_factory.mktemp("kills") / "files"
    make_tree(root, clips["h264_forty.mp4"], classes=10, videos=VIDEOS // 10)
    split = {"train": [f"class {n:02}" for n in range(10)], "val": [], "test": []}
    (root.parent / "split.json").write_text(json.dumps(split))
    (root.parent / "root").mkdir()
    for part in range(2):
        members = files_of(root)[part::2]
        write_tar(root.parent / f"root/part_{part}.tar.gz", members, "w:gz")
    return root


def finish(root: Path, store: Path) -> str:
    process = start_prep(root, store, "--split-file", str(root.parent / "split.json"))
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    return errors


@pytest.mark.timeout(900)
def test_a_prep_of_archives_killed_on_the_way_goes_on(files: Path, tmp_path: Path) -> None:
    root, store = files.parent / "root", tmp_path / "store"

    def waiting() -> list[Path]:
        return [path for path in store.glob(".archives/frames-*/*/*") if "." not in path.name]

    kept: dict[Path, int] = {}
    for goal in (5, 20, VIDEOS):
        process = start_prep(root, store, "--split-file", str(files.parent / "split.json"))
        wait_for(lambda: len(waiting()) >= goal or process.poll() is not None)  # noqa: B023
        kill_group(process)
        if list(store.glob("shard-*.h5")):
            break  # from here on frames go into shards
        now = {path: path.stat().st_ino for path in waiting()}
        assert kept.items() <= now.items()  # none was decoded again
        kept = now
    errors = finish(root, store)
    finish(files, tmp_path / "from files")
    assert made(store) == made(tmp_path / "from files")
    assert "archives to read" not in errors or len(kept) < VIDEOS
