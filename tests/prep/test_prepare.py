import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prep import plan as planning
from prep.clip import FrameSettings
from prep.limits import Limits
from prep.report import Report
from tasd.errors import UserError
from tasd.store import Store
from tests.prep.conftest import Listener, content
from tests.videos import CLIPS, FAST, make_clip, make_tree, run_ffmpeg

Run = Callable[..., Report]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three videos a shard."""
    monkeypatch.setattr(planning, "LEAST_SHARD_BYTES", 3 * int(4 * 32**2 * 0.2) + 1)
    monkeypatch.setattr(planning, "TARGET_SHARDS", 10**6)


@pytest.fixture
def root(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return make_tree(tmp_path / "videos", clips["h264.mp4"], classes=3, videos=4)


def inodes(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in store.glob("shard-*.h5")}


def test_a_store_holds_every_video_of_the_folder(run: Run, root: Path, tmp_path: Path) -> None:
    report = run(root)
    assert report.counts["prepared"] == 12
    with Store(tmp_path / "store") as store:
        assert len(store.videos) == 12
        video = store.videos["class 01/video_002"]
        assert (video.frames, video.size) == (4, (32, 32))
        assert list(store.frame_times(video.id)) == pytest.approx([0.1, 0.3, 0.6, 0.8])
        assert store.manifest.settings["frames"] == 4
    assert json.loads((tmp_path / "store/report.json").read_text())["counts"]["prepared"] == 12


@pytest.mark.usefixtures("small_shards")
def test_the_bytes_do_not_depend_on_the_workers(run: Run, root: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 5):
        run(root, tmp_path / f"store{workers}", workers=workers)
    assert len(content(tmp_path / "store1")) == 4 + 3
    assert content(tmp_path / "store1") == content(tmp_path / "store2")
    assert content(tmp_path / "store1") == content(tmp_path / "store5")


def test_a_copy_of_the_data_elsewhere_gives_the_same_shards(
    run: Run, root: Path, tmp_path: Path
) -> None:
    run(root)
    copied = tmp_path / "somewhere else"
    shutil.copytree(root, copied, copy_function=shutil.copyfile)
    run(copied, tmp_path / "store2")
    one, two = content(tmp_path / "store"), content(tmp_path / "store2")
    del one["plan.json"], two["plan.json"]  # which remembers when files changed
    assert one == two
    assert str(tmp_path).encode() not in b"".join(one.values())


@pytest.mark.usefixtures("small_shards")
class TestASecondRun:
    def test_without_a_change_does_nothing(self, run: Run, root: Path, tmp_path: Path) -> None:
        run(root)
        before, files = content(tmp_path / "store"), inodes(tmp_path / "store")
        run(root, listener=(listener := Listener()))
        assert listener.videos == 0
        assert listener.lines == ["12 videos are in the store already"]
        assert inodes(tmp_path / "store") == files
        assert content(tmp_path / "store") == before

    def test_redoes_the_shard_of_a_changed_file(
        self, run: Run, root: Path, tmp_path: Path, clips: dict[str, Path]
    ) -> None:
        run(root)
        files = inodes(tmp_path / "store")
        changed = root / "class 01/video_001.mp4"
        changed.unlink()
        shutil.copy(clips["h264_forty.mp4"], changed)
        run(root, listener=(listener := Listener()))
        assert listener.videos == 3
        assert listener.lines[0] == "1 shard must be written again: class 01/video_001 changed"
        now = inodes(tmp_path / "store")
        assert [name for name in files if now[name] != files[name]] == ["shard-00001.h5"]
        with Store(tmp_path / "store") as store:
            assert store.frame_times("class 01/video_001")[-1] == pytest.approx(3.5)

    def test_keeps_what_was_only_touched(self, run: Run, root: Path, tmp_path: Path) -> None:
        run(root)
        for video in root.rglob("*.mp4"):
            os.utime(video, (1, 1))
        run(root, listener=(listener := Listener()))
        assert listener.videos == 0

    def test_redoes_everything_for_another_setting(
        self, run: Run, root: Path, tmp_path: Path
    ) -> None:
        run(root)
        settings = FrameSettings(frames=5, size=32)
        run(root, settings=settings, listener=(listener := Listener()))
        assert listener.videos == 12
        assert listener.lines[0] == "4 shards must be written again: frames was 4, is 5"
        with Store(tmp_path / "store") as store:
            assert {video.frames for video in store.videos.values()} == {5}

    def test_adds_new_videos_in_new_shards(
        self, run: Run, root: Path, tmp_path: Path, clips: dict[str, Path]
    ) -> None:
        run(root)
        before = content(tmp_path / "store")
        shutil.copy(clips["mpeg4.avi"], root / "class 00/a new one.avi")
        make_tree(root / "more", clips["h264.mp4"], classes=1, videos=2)
        (root / "more/class 00").rename(root / "a new class")
        (root / "more").rmdir()
        run(root, listener=(listener := Listener()))
        assert listener.videos == 3
        after = content(tmp_path / "store")
        for name, old in before.items():
            assert not name.startswith("shard") or after[name] == old
        with Store(tmp_path / "store") as store:
            assert len(store.videos) == 15
            assert "class 00/a new one" in store.videos

    def test_needs_no_plan_to_go_on(self, run: Run, root: Path, tmp_path: Path) -> None:
        run(root)
        before = content(tmp_path / "store")
        (tmp_path / "store/plan.json").unlink()
        run(root, listener=(listener := Listener()))
        assert listener.videos == 0
        assert content(tmp_path / "store") == before

    def test_mends_a_damaged_shard(self, run: Run, root: Path, tmp_path: Path) -> None:
        run(root)
        before = content(tmp_path / "store")
        shard = tmp_path / "store/shard-00002.h5"
        shard.write_bytes(shard.read_bytes()[:-100])
        run(root, listener=(listener := Listener()))
        assert listener.lines[0] == "1 shard must be written again: the file is damaged"
        assert content(tmp_path / "store") == before

    def test_keeps_videos_whose_files_are_gone(self, run: Run, root: Path, tmp_path: Path) -> None:
        run(root)
        before = content(tmp_path / "store")
        shutil.rmtree(root / "class 00")
        run(root, listener=(listener := Listener()))
        assert "12 videos are in the store already, 4 of them no longer below" in listener.lines[0]
        after = content(tmp_path / "store")
        assert before["manifest.json"] == after["manifest.json"]
        with pytest.raises(UserError, match=r"frames was 4, is 6.*no longer below"):
            run(root, settings=FrameSettings(frames=6, size=32))
        assert content(tmp_path / "store") == after

    def test_tries_again_what_was_given_up_once_it_may_take_more(
        self, run: Run, root: Path, tmp_path: Path
    ) -> None:
        large = "color=red:size=3840x2160:rate=10:duration=0.5"
        run_ffmpeg("-f", "lavfi", "-i", large, *FAST.split(), root / "class 02/zz.mp4")
        narrow = Limits(memory_mib=70)
        assert run(root, limits=narrow).counts["unreadable"] == 1
        again = Listener()
        assert run(root, limits=narrow, listener=again).counts["unreadable"] == 1
        assert again.videos == 0
        assert run(root, listener=again).counts["unreadable"] == 0
        assert "1 shard must be written again: class 02/zz may be readable now" in again.lines
        run(root, tmp_path / "fresh")
        assert content(tmp_path / "fresh") == content(tmp_path / "store")

    def test_takes_a_video_that_has_been_mended(
        self, run: Run, root: Path, tmp_path: Path, clips: dict[str, Path]
    ) -> None:
        broken = root / "class 02/video_003.mp4"
        broken.unlink()
        broken.write_bytes(b"not yet downloaded")
        report = run(root)
        assert [remark.video for remark in report.remarks] == ["class 02/video_003"]
        assert report.losses == 1
        shutil.copy(clips["h264.mp4"], broken)
        assert run(root).counts["prepared"] == 12
        run(root, tmp_path / "fresh")
        assert content(tmp_path / "fresh") == content(tmp_path / "store")


def test_where_nothing_can_be_prepared_nothing_is_written(run: Run, tmp_path: Path) -> None:
    for name in ("a/one.mp4", "b/two.avi"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"nothing of a video")
    with pytest.raises(UserError, match=r"none of 2 videos .* nothing is written; the first, a/"):
        run(tmp_path / "videos")
    assert not (tmp_path / "store").exists()


def test_an_older_store_survives_a_run_that_prepares_nothing(
    run: Run, root: Path, tmp_path: Path
) -> None:
    run(root)
    before = content(tmp_path / "store")
    (tmp_path / "others/x").mkdir(parents=True)
    (tmp_path / "others/x/bad.mp4").write_bytes(b"bad")
    assert run(tmp_path / "others").counts == {
        "prepared": 12,
        "unreadable": 1,
        "too short": 0,
        "repeated frames": 0,
        "damaged": 0,
        "missing": 0,
        "noted": 0,
    }
    assert before["shard-00000.h5"] == content(tmp_path / "store")["shard-00000.h5"]


def test_a_folder_that_holds_something_else_is_not_written_over(
    run: Run, root: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in ("manifest.json", "shard-00000.h5"):
        (store / name).write_text("{}")
        with pytest.raises(UserError, match=name):
            run(root)
        assert (store / name).read_text() == "{}"
        (store / name).unlink()
    (store / "notes.txt").write_text("mine")
    assert run(root).counts["prepared"] == 12
    assert (store / "notes.txt").read_text() == "mine"


def test_another_data_set_does_not_replace_what_is_there(
    run: Run, root: Path, tmp_path: Path, clips: dict[str, Path]
) -> None:
    run(root)
    before = content(tmp_path / "store")
    (tmp_path / "ucf/Archery").mkdir(parents=True)
    shutil.copy(clips["mpeg4.avi"], tmp_path / "ucf/Archery/v_Archery_g01_c01.avi")
    with pytest.raises(UserError, match=r"holds folder, not ucf101.*another store with --store"):
        run(tmp_path / "ucf", dataset="ucf101")
    assert content(tmp_path / "store") == before


def test_the_report_names_every_loss_and_its_reason(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "videos"
    (root / "a class").mkdir(parents=True)
    for name in ("h264.mp4", "mpeg4_forty.avi", "one_frame.mp4", "sound_only.mp4"):
        make_clip(root / "a class", name)
    avi = root / "a class/mpeg4_forty.avi"
    avi.write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    report = run(root)
    found = {(remark.video.split("/")[1], remark.kind): remark.reason for remark in report.remarks}
    assert found["sound_only", "unreadable"] == "it has no video stream"
    assert found["one_frame", "repeated frames"] == "1 frame, repeated evenly to 4"
    assert "of the 40 frames" in found["mpeg4_forty", "too short"]
    assert report.counts["prepared"] == 3
    assert report.losses == 2
    assert report.too_few(6) == ["a class"]
    written = json.loads((tmp_path / "store/report.json").read_text())
    assert {(v["video"].split("/")[1], v["kind"]) for v in written["videos"]} == set(found)


def test_every_container_goes_through_the_whole_of_prep(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = tmp_path / "videos"
    (root / "all of them").mkdir(parents=True)
    for path in clips.values():
        shutil.copy(path, root / "all of them")
    (root / "all of them/bare.h264").rename(root / "all of them/bare.mpg")
    report = run(root)
    assert report.counts["prepared"] == len(CLIPS) - 1


def test_frames_in_folders_are_videos_too(run: Run, tmp_path: Path, clips: dict[str, Path]) -> None:
    from tests.videos import run_ffmpeg

    folder = tmp_path / "videos/jumping/jump 1"
    folder.mkdir(parents=True)
    run_ffmpeg("-i", clips["h264_forty.mp4"], folder / "frame_%05d.jpg")
    shutil.copy(clips["h264.mp4"], folder.parent / "jump 2.mp4")
    assert run(tmp_path / "videos").counts["prepared"] == 2
    run(tmp_path / "videos", listener=(listener := Listener()))
    assert listener.videos == 0
