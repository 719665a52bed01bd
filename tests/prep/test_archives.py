"""Archives read in place give the bytes that the files in them would."""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.archives import rars
from prep.clip import FrameSettings
from prep.report import Report
from prep.table import print_report
from tasd.errors import UserError
from tests import archives
from tests.archives import FORMS, files_of, write_parts, write_tar, write_zip
from tests.prep.conftest import Listener
from tests.videos import make_tree

Run = Callable[..., Report]
KINDS = ("h264.mp4", "h264_forty.mp4", "mpeg4.avi", "vp9.webm", "variable_rate.mkv", "stream.ts")
VIDEOS = 22

rar = pytest.mark.skipif(not rars.rar_programs(), reason="no bsdtar, unar or 7z")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    """Three classes of videos, of all kinds, with what else lies in such folders in the first.

    Not to be written into.
    """
    root = tmp_path_factory.mktemp("original") / "files"
    for number, kinds in enumerate(((*KINDS, "sound_only.mp4"), KINDS, KINDS)):
        folder = root / f"class {number}"
        folder.mkdir(parents=True)
        for name in kinds:
            shutil.copy(clips[name], folder / name)
        (folder / "notes.txt").write_text("seen")
    folder = root / "class 0"
    (folder / "broken.mp4").write_bytes(b"the download broke off")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "renamed.data").write_bytes(clips["h264.mp4"].read_bytes())
    (folder / "._h264.mp4").write_bytes(bytes(100))
    return root


@pytest.fixture
def files(tmp_path: Path, original: Path) -> Path:
    """The same files in a folder of the test's own."""
    return shutil.copytree(original, tmp_path / "files")


@pytest.fixture(scope="module")
def expected(run_into: Run, original: Path) -> dict[str, bytes]:
    """What a prep of these files makes."""
    run_into(original, original.parent / "store")
    content = made(original.parent / "store")
    assert len(content) >= 3
    return content


def made(store: Path) -> dict[str, bytes]:
    """What must not depend on archives: all but the plan, which has times of change."""
    names = [path for path in store.glob("*.*") if path.is_file() and path.name[0] != "."]
    return {path.name: path.read_bytes() for path in names if path.name != "plan.json"}


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=[rar] if "rar" in form else []) for form in FORMS]
)
def test_an_archive_gives_the_bytes_of_its_files(
    run: Run, files: Path, tmp_path: Path, form: str, expected: dict[str, bytes]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    FORMS[form](root, files)
    run(root, tmp_path / "from archives", workers=2, shard_mib=1)
    assert made(tmp_path / "from archives") == expected
    run(root, tmp_path / "from archives", listener=(again := Listener()))
    assert again.lines == [f"{VIDEOS} videos are in the store already"]
    left = [path.name for path in (tmp_path / "from archives/.archives").iterdir()]
    assert all(name.endswith(".json.gz") for name in left)


@pytest.mark.parametrize("settings", [FrameSettings(frames=None, size=32), FrameSettings(fps=2)])
def test_shards_that_depend_on_the_sizes_of_videos_are_the_same(
    run: Run, files: Path, tmp_path: Path, settings: FrameSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prep.plan.LEAST_SHARD_BYTES", 60_000)
    write_tar(tmp_path / "root.tar", files_of(files))
    (tmp_path / "root").mkdir()
    (tmp_path / "root.tar").rename(tmp_path / "root/root.tar")
    run(files, tmp_path / "a", settings=settings)
    run(tmp_path / "root", tmp_path / "b", settings=settings)
    assert len(made(tmp_path / "a")) > 4
    assert made(tmp_path / "a") == made(tmp_path / "b")


def test_an_archive_may_be_the_root_itself(
    run: Run, files: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    (tmp_path / "root").mkdir()
    whole = write_tar(tmp_path / "all.tgz", files_of(files), "w:gz").read_bytes()
    first = write_parts(tmp_path / "root", "20bn-something-something-v2", whole, 9000)
    make_tree(tmp_path / "root/other", files / "class 0/h264.mp4", classes=2, videos=2)
    report = run(first)
    assert made(tmp_path / "store") == expected
    assert len(report.prepared) == 3


def test_a_member_that_repeats_another_as_a_hard_link_is_read(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    files = make_tree(tmp_path / "files", clips["h264.mp4"], classes=2, videos=3)
    (tmp_path / "root").mkdir()
    archives._tar(tmp_path / "root", files)
    with tarfile.open(tmp_path / "root/all.tar") as archive:
        assert sum(member.islnk() for member in archive) == 5
    run(files, tmp_path / "a")
    run(tmp_path / "root", tmp_path / "b")
    assert made(tmp_path / "a") == made(tmp_path / "b")
    some = tmp_path / "list.txt"  # what is linked to is not wanted itself
    some.write_text("class 00/video_001\nclass 01/video_002\n")
    run(files, tmp_path / "c", lists=(some,))
    run(tmp_path / "root", tmp_path / "d", lists=(some,))
    assert made(tmp_path / "c") == made(tmp_path / "d")


def test_members_that_the_list_does_not_want_are_not_decoded(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    from prep.archives.spool import Content

    monkeypatch.setattr(
        Content,
        "copy",
        lambda self, path, copy=Content.copy: copied.append(path) or copy(self, path),
    )
    (tmp_path / "root").mkdir()
    FORMS["tar.gz"](tmp_path / "root", files)
    some = tmp_path / "list.txt"
    some.write_text("class 1/h264\nclass 2/vp9\nclass 2/never seen\n")
    run(files, tmp_path / "a", lists=(some,))
    report = run(tmp_path / "root", tmp_path / "b", lists=(some,))
    assert len(copied) == 2
    assert report.missing == ("class 2/never seen",)
    assert made(tmp_path / "a") == made(tmp_path / "b")


def test_files_beside_archives_count_too_and_win(run: Run, files: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(files / "class 0", root / "class 0")
    shutil.copy(files / "class 1/h264_forty.mp4", root / "class 0/h264.mp4")
    write_zip(root / "rest.zip", files_of(files))
    whole = tmp_path / "whole"
    shutil.copytree(files, whole)
    shutil.copy(root / "class 0/h264.mp4", whole / "class 0/h264.mp4")
    run(whole, tmp_path / "a")
    report = run(root, tmp_path / "b")
    shards = lambda store: {p.name: p.read_bytes() for p in store.glob("shard*")}  # noqa: E731
    assert shards(tmp_path / "a") == shards(tmp_path / "b")
    (said,) = [problem for problem in report.problems if problem.kind == "duplicate"]
    assert said.count == 12
    assert "a file of the same name" in said.reason


def test_archives_are_not_read_where_every_listed_video_is_a_file(
    run: Run, files: Path, tmp_path: Path
) -> None:
    (files / "broken.zip").write_bytes(b"nothing that could be read")
    some = tmp_path / "list.txt"
    some.write_text("class 1/h264\nclass 2/vp9\n")
    report = run(files, lists=(some,), listener=(listener := Listener()))
    assert report.videos == 2
    assert listener.lines[0] == "1 archive not read: every video of the list is there as a file"


def test_replacements_in_archives_win_over_broken_copies(
    run: Run, shared: Path, tmp_path: Path
) -> None:
    case = shared / "cases/cvdf_replacement"
    root = tmp_path / "root"
    for folder in ("train", "val"):
        (root / folder).mkdir(parents=True)
        write_tar(root / folder / "part_0.tar.gz", files_of(case / "root" / folder), "w:gz")
    (root / "replacement").mkdir()
    copies = files_of(case / "root/replacement")
    write_tar(root / "replacement/replacement_for_corrupted_k400.tgz", copies, "w:gz")
    run(case / "root", tmp_path / "a", dataset="kinetics", lists=(case / "list.txt",))
    report = run(root, tmp_path / "b", dataset="kinetics", lists=(case / "list.txt",))
    assert made(tmp_path / "a") == made(tmp_path / "b")
    assert (report.counts["unreadable"], report.counts["missing"]) == (0, 0)


def test_a_touched_archive_is_read_again_and_nothing_is_decoded(
    run: Run, files: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    FORMS["zip"](root, files)
    run(root)
    before = made(tmp_path / "store")
    os.utime(root / "all.zip", (1, 1))
    run(root, listener=(listener := Listener()))
    assert listener.lines[0].startswith("1 archive to read in place")
    assert listener.lines[1:] == [f"{VIDEOS} videos are in the store already"]
    assert made(tmp_path / "store") == before


def test_another_setting_reads_the_archives_once_more(
    run: Run, files: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    FORMS["tar.gz"](root, files)
    run(root, settings=FrameSettings(frames=5, size=32))
    assert made(tmp_path / "store").keys() == expected.keys()
    assert made(tmp_path / "store") != expected
    run(root)
    assert made(tmp_path / "store") == expected


def test_a_new_archive_adds_new_shards(run: Run, files: Path, tmp_path: Path) -> None:
    root, later = tmp_path / "root", tmp_path / "files/class 2"
    root.mkdir()
    later.rename(tmp_path / "class 2")
    FORMS["tar"](root, files)
    run(files, tmp_path / "a")
    run(root, tmp_path / "b")
    (tmp_path / "class 2").rename(later)
    write_zip(root / "more.zip", [(f"class 2/{name}", c) for name, c in files_of(later)])
    run(files, tmp_path / "a")
    run(root, tmp_path / "b")
    assert made(tmp_path / "a") == made(tmp_path / "b")


def test_without_a_program_for_rar_one_line_says_what_to_install(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    root = tmp_path / "root"
    root.mkdir()
    FORMS["rar"](root, files)
    with pytest.raises(UserError, match=r"all\.rar cannot be read: no program .*apt install lib"):
        run(root)
    assert not (tmp_path / "store").exists()


@rar
@pytest.mark.parametrize("program", ["bsdtar", "unar", "7zz", "7z"])
def test_each_program_for_rar_gives_the_same(
    run: Run,
    files: Path,
    tmp_path: Path,
    program: str,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    FORMS["rar"](root, files)
    if program not in rars.rar_programs():
        pytest.skip(f"no {program}")
    try:
        next(rars.rar_members(root / "all.rar", program))
    except rars.ArchiveFault:
        pytest.skip(f"{program} was built without RAR")
    monkeypatch.setattr(rars, "PROGRAMS", (program,))
    run(root)
    assert made(tmp_path / "store") == expected


def test_the_report_of_archives_prints(
    run: Run, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root").mkdir()
    FORMS["tar"](tmp_path / "root", files)
    report = run(tmp_path / "root")
    print_report(report, tmp_path / "store")
    printed = capsys.readouterr().out
    name, count = next(iter(sorted(report.prepared.items())))
    for line in (
        f"in {len(report.prepared)} classes",
        f"too few videos for 5-shot episodes with 5 queries, 10 a class: {name} ({count})",
        "few videos to train on: tasd train --recipe small is made for that",
        f"store: {tmp_path / 'store'}\n",
        f"full report: {tmp_path / 'store' / 'report.json'}",
    ):
        assert line in printed
    assert "1-shot" not in printed  # for which six a class are enough
