"""Damaged and hostile archives: one line each, nothing else is lost, nothing is written outside."""

import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.archives import spool
from prep.archives.find import find_archives, is_archive
from prep.archives.members import RawMember, unpacked_path
from prep.report import Report
from tasd.datasets.content import HEAD_BYTES
from tasd.errors import UserError
from tests.archives import Member, write_headers, write_parts, write_tar, write_zip

Run = Callable[..., Report]


@pytest.fixture
def members(clips: dict[str, Path]) -> list[Member]:
    content = clips["h264_forty.mp4"].read_bytes()
    fill = struct.pack(">I4s", 5008, b"free")  # a box that no two of them share
    return [
        (f"class {n // 3}/{n % 3}.mp4", content + fill + random.Random(n).randbytes(5000))
        for n in range(6)
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def unreadable(report: Report) -> str:
    (problem,) = [p for p in report.problems if p.kind in ("unreadable", "name", "link")]
    assert report.losses >= 1
    assert "\n" not in problem.reason
    return f"{problem.path}: {problem.reason}"


@pytest.mark.parametrize("form", ["tar", "tgz", "zip"])
def test_a_truncated_archive_keeps_what_came_before(
    run: Run, root: Path, members: list[Member], form: str
) -> None:
    path = root / f"all.{form}"
    if form == "zip":
        write_zip(root / "good.zip", members[:2])
        write_zip(path, members)
    else:
        write_tar(path, members, "w:gz" if form == "tgz" else "w")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    report = run(root)
    assert report.videos >= 2
    assert "download it again" in unreadable(report)


def test_a_damaged_gzip_is_told_and_mended_by_a_good_one(
    run: Run, root: Path, members: list[Member], tmp_path: Path
) -> None:
    path = write_tar(root / "all.tar.gz", members, "w:gz")
    good = path.read_bytes()
    path.write_bytes(good[:-8] + b"\0" * 8)  # its checksum
    report = run(root)
    assert report.videos == 6
    assert "it is damaged" in unreadable(report)
    path.write_bytes(good)
    assert not run(root).problems


@pytest.mark.parametrize("content", [b"", b"<html>no such file</html>", b"PK\x03\x04" + bytes(99)])
@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip", "x.tar"])
def test_something_else_by_the_name_of_an_archive_is_told(
    run: Run, root: Path, members: list[Member], name: str, content: bytes
) -> None:
    write_tar(root / "good.tar", members)
    (root / name).write_bytes(content)
    report = run(root)
    assert report.videos == 6
    assert unreadable(report).startswith(f"{name}: it is") or "index" in unreadable(report)


@pytest.mark.parametrize("name", ["../out.mp4", "/out.mp4", "class 0/../../out.mp4"])
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_a_name_that_leads_out_is_left_out(
    run: Run, root: Path, members: list[Member], name: str, form: str, tmp_path: Path
) -> None:
    write = {"tar": write_tar, "zip": write_zip}[form]
    write(root / f"all.{form}", [(name, members[0][1]), *members])
    report = run(root)
    assert report.videos == 6
    assert "1 left out: its name leads out of the folder" in unreadable(report)
    assert not list(tmp_path.glob("out.*"))
    assert not Path("/out.mp4").exists()


def test_links_and_devices_are_left_out(
    run: Run, root: Path, members: list[Member], tmp_path: Path
) -> None:
    link, hard, pipe = (tarfile.TarInfo(f"class 0/{name}.mp4") for name in "xyz")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    pipe.type = tarfile.FIFOTYPE
    write_headers(root / "all.tar", [link, hard, pipe], members)
    report = run(root)
    assert report.videos == 6
    reasons = [problem.reason for problem in report.problems]
    assert len(reasons) == 3
    assert all(reason.startswith("1 left out: a ") for reason in reasons)
    assert report.losses == 3


def test_the_last_of_two_members_of_one_name_counts(
    run: Run, root: Path, members: list[Member], clips: dict[str, Path], tmp_path: Path
) -> None:
    first = (members[0][0], clips["h264.mp4"].read_bytes())
    write_tar(root / "all.tar", [first, *members])
    report = run(root)
    (problem,) = report.problems
    assert (problem.kind, problem.count, report.losses) == ("duplicate", 1, 0)
    (tmp_path / "once").mkdir()
    write_tar(tmp_path / "once/all.tar", members)
    run(tmp_path / "once", tmp_path / "store 2")
    shards = [(tmp_path / store / "shard-00000.h5").read_bytes() for store in ("store", "store 2")]
    assert shards[0] == shards[1]


def test_a_bomb_is_stopped(
    run: Run, root: Path, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "LEAST_BOMB", 2 << 20)
    write_zip(root / "a.zip", [("class 0/bomb.mp4", bytes(64 << 20)), *members])
    report = run(root)
    assert report.videos == 6
    assert "more than 200 times as large" in unreadable(report)


def test_a_huge_claimed_size_ends_the_archive_in_one_line(
    run: Run, root: Path, members: list[Member]
) -> None:
    path = write_tar(root / "all.tar", members)
    huge = tarfile.TarInfo("class 0/huge.mp4")
    huge.size = 1 << 50
    with path.open("r+b") as file:
        file.seek(512 + (len(members[0][1]) + 511) // 512 * 512)
        file.write(huge.tobuf(tarfile.GNU_FORMAT))
    report = run(root)
    assert report.videos == 1
    assert "it ends early" in unreadable(report)


def test_a_name_without_end_takes_no_memory(run: Run, root: Path, members: list[Member]) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = write_tar(root / "all.tar", members)
    with path.open("r+b") as file:
        file.seek(512 + (len(members[0][1]) + 511) // 512 * 512)
        file.write(header.tobuf(tarfile.GNU_FORMAT))
    report = run(root)
    assert report.videos == 1
    assert "a name of" in unreadable(report)


def test_an_encrypted_member_is_named(run: Run, root: Path, members: list[Member]) -> None:
    path = write_zip(root / "all.zip", members)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        raw[first.header_offset + 6] |= 1
        raw[archive.start_dir + 8] |= 1
    path.write_bytes(raw)
    report = run(root)
    assert report.videos == 5
    assert "1 left out: encrypted" in unreadable(report)


def test_a_missing_part_is_named_before_anything_is_read(
    run: Run, root: Path, members: list[Member], tmp_path: Path
) -> None:
    whole = write_tar(tmp_path / "all.tgz", members, "w:gz").read_bytes()
    write_parts(root, "20bn-something-something-v2", whole, 2000)
    (root / "20bn-something-something-v2-01").unlink()
    with pytest.raises(UserError, match="something-v2-01 is missing, one of the parts"):
        run(root)


def test_a_root_without_a_video_is_refused_and_leaves_nothing(
    run: Run, root: Path, tmp_path: Path
) -> None:
    write_tar(root / "all.tar", [("notes/readme.txt", b"hello")])
    (root / "more.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"no video found .*more.zip: it is empty"):
        run(root)
    assert not (tmp_path / "store").exists()


def test_frames_that_wait_damaged_are_read_again(
    run: Run, root: Path, members: list[Member], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(root / "all.tar", members)

    def stop(*arguments: object, **options: object) -> None:
        raise UserError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("prep.prepare.write_shards", stop)
        with pytest.raises(UserError, match="stopped"):
            run(root)
    waiting = list((tmp_path / "store/.archives").glob("frames-*/*/*"))
    assert len(waiting) == 6
    with waiting[0].open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"other")
    with pytest.raises(UserError, match="run the same command again"):
        run(root)
    assert run(root).videos == 6


def test_names_of_archives() -> None:
    names = ("a.tar", "a.TAR.GZ", "a.tgz", "a.zip", "a.rar", "20bn-something-something-v2-19")
    assert all(map(is_archive, (*names, "a.tar.gz.00", "a.tgz.part-ab", "a.part1.rar")))
    assert not any(
        map(is_archive, ("a.gz", "a.mp4", ".a.tar", "20bn-something-something-v2", "tar"))
    )
    assert not is_archive("a.part2.rar")


def test_paths_of_members() -> None:
    assert unpacked_path("train", "./a//b.mp4") == "train/a/b.mp4"
    assert unpacked_path("", "a..b/c") == "a..b/c"
    assert not any(unpacked_path("x", n) for n in ("/a", "../a", "a/..", "C:/a", "a\0b"))


def test_archives_deep_below_the_root_are_found(root: Path) -> None:
    for folder in ("a/b/c", "a/b/c/d", ".hidden"):
        (root / folder).mkdir(parents=True)
        (root / folder / "x.tar").write_bytes(b"")
    assert [archive.path for archive in find_archives(root)] == ["a/b/c/x.tar"]


def test_the_head_of_a_member_is_as_long_where_it_comes_in_pieces() -> None:
    whole = random.Random(0).randbytes(2 * HEAD_BYTES)

    class Pieces(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, HEAD_BYTES // 3))

    raw = RawMember("a", "file", len(whole), lambda: Pieces(whole), lambda: len(whole))
    assert spool.Content(raw).head() == whole[:HEAD_BYTES]
