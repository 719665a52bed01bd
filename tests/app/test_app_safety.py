"""The page serves its visitor alone, and no upload harms it."""

import asyncio
from contextlib import nullcontext

import pytest
from starlette.testclient import TestClient

from tasd.app.api import make_app
from tasd.app.folder import SessionFolder
from tasd.app.guard import Access, access
from tasd.app.names import class_name, clip_name, folder_name
from tasd.cli.serve import serve as command
from tasd.errors import UserError

HTML = "<img src=x onerror=alert(1)>"


@pytest.fixture
def outside(session):
    """A client of a page that is served beyond this machine."""
    app = make_app(session, Access("0.0.0.0", 7860, "right"))
    return TestClient(app, base_url="http://192.168.1.7:7860", follow_redirects=False)


def test_a_token_is_needed_beyond_this_machine(outside):
    assert access("127.0.0.1", 1).token == ""
    tokens = {access("0.0.0.0", 1).token for _ in range(3)}
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 40
    for path in ("/", "/api/state", "/page/main.js", "/api/export", "/?token=wrong", "/?token="):
        assert outside.get(path).status_code == 401, path
    assert outside.post("/api/classes?token=right", json={"name": "a"}).status_code == 401
    entered = outside.get("/?token=right")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert outside.get("/api/state").status_code == 200
    outside.cookies.set("tasd_app_7860", "wrong")
    outside.cookies.clear()
    assert outside.get("/", headers={"cookie": "tasd_app_7860=wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("[::1]:7860", 200),
        ("evil.example:7860", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.7:7860", 421),
        ("[", 421),
    ],
)
def test_only_names_of_this_machine_are_served(visitor, host, status):
    assert visitor.client.get("/api/state", headers={"host": host}).status_code == status


def test_a_name_that_is_pointed_here_is_refused_with_a_token_too(outside):
    outside.get("/?token=right")
    for host, status in (("evil.example", 421), ("192.168.1.7:7860", 200)):
        assert outside.get("/api/state", headers={"host": host}).status_code == status


def test_another_page_changes_nothing(visitor):
    client, body = visitor.client, {"name": "a"}
    assert client.post("/api/classes", json=body).status_code == 403
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        headers = {"x-tasd": "1", "origin": origin}
        assert client.post("/api/classes", json=body, headers=headers).status_code == 403
    assert visitor.state()["classes"] == []
    same = {"x-tasd": "1", "origin": "http://127.0.0.1:7860"}
    assert client.post("/api/classes", json=body, headers=same).status_code == 200
    answer = client.options("/api/classes", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_every_answer_forbids_what_is_foreign(visitor):
    for path in ("/", "/api/state", "/nowhere"):
        headers = visitor.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "the file is empty; give one that holds a video"),
        ("big.mp4", b"x" * ((1 << 20) + 1), "the file is larger than 1 MiB; cut it"),
        ("notes.txt", b"text", "notes.txt does not end like a video; give mp4"),
        ("no ending", b"text", "no ending does not end like a video"),
    ],
)
def test_an_upload_is_refused_in_one_line(visitor, session, two, name, content, message):
    visitor.state()
    before = sorted(session.folder.path.iterdir())
    for path in (f"/api/classes/{two['waving']}/clips", "/api/questions"):
        answer = visitor.upload(path, content, name)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(message)
        assert "\n" not in answer.json()["error"]
    assert sorted(session.folder.path.iterdir()) == before


def test_a_size_that_the_header_hides_is_bounded(visitor, session, two):
    visitor.state()
    before = sorted(session.folder.path.iterdir())
    pieces = (b"x" * 100_000 for _ in range(20))
    answer = visitor.client.post(
        "/api/questions", content=pieces, params={"name": "a.mp4"}, headers={"x-tasd": "1"}
    )
    assert "larger than 1 MiB" in answer.json()["error"]
    assert sorted(session.folder.path.iterdir()) == before


@pytest.mark.parametrize(("mib", "refused"), [(512, False), (513, True)])
def test_an_upload_may_have_512_mib(mib: int, refused: bool):
    async def pieces():
        yield b"a video"

    folder = SessionFolder()
    received = folder.receive(pieces(), suffix=".mp4", announced=mib << 20)
    try:
        with pytest.raises(UserError, match="512 MiB") if refused else nullcontext():
            assert asyncio.run(received).read_bytes() == b"a video"
    finally:
        folder.close()


def test_a_file_that_is_no_video_is_told_and_the_others_go_on(visitor, session, two, clips):
    path = f"/api/classes/{two['waving']}/clips"
    visitor.upload(path, b"<html>no video at all</html>" * 90, "page.mp4")
    visitor.upload("/api/questions", clips / "vp9.webm", "mine.webm")
    state = visitor.state()
    broken = state["classes"][0]["clips"][1]
    assert broken["state"] == "failed"
    assert broken["problem"]
    assert str(session.folder.path) not in broken["problem"]
    assert state["questions"][0]["answer"]


@pytest.mark.parametrize("name", ["../../x.mp4", "/etc/x.mp4", "C:\\x.mp4", "a\x00b/x.mp4"])
def test_a_name_is_never_a_path(visitor, session, two, clips, name):
    visitor.upload("/api/questions", clips / "vp9.webm", name)
    (question,) = visitor.state()["questions"]
    assert question["name"] == "x.mp4"
    (path,) = [q.clip.path for q in session.questions]
    assert path.parent == session.folder.path
    assert path.stem.isalnum()


def test_long_and_strange_names(visitor, two, clips):
    long = visitor.upload("/api/questions", clips / "vp9.webm", "n" * 10_000 + ".webm")
    assert long.status_code == 200
    (question,) = visitor.state()["questions"]
    assert len(question["name"]) <= 120
    assert question["name"].endswith(".webm")
    answer = visitor.send("POST", "/api/classes", {"name": "n" * 10_000})
    assert "has 10000 characters; it may have 80" in answer.json()["error"]
    for body in ({}, {"name": 3}, {"name": " \x00\u202e"}):
        answer = visitor.send("POST", "/api/classes", body)
        assert answer.status_code == 422
        assert answer.json()["error"]
    assert visitor.send("POST", "/api/classes", {"name": HTML}).status_code == 200
    assert class_name("a\u202eb\nc") == "ab c"
    assert folder_name("CON", set()) == "_CON"
    assert folder_name("a.mp4", {"a.mp4"}) == "a (2).mp4"
    assert len(folder_name("ü" * 400 + ".mp4", set()).encode()) < 200
    with pytest.raises(UserError, match="does not end like a video"):
        clip_name(".mp4/../..")


def test_files_outside_are_not_served(visitor, two):
    visitor.state()
    for path in (
        "/page/../api.py",
        "/page/..%2fapi.py",
        "/page/%2e%2e/api.py",
        "/api/frames/..%2f..%2fetc/0",
        "/api/frames/*/0",
        "/api/frames/nobody/-1",
        "/docs",
        "/openapi.json",
    ):
        assert visitor.client.get(path).status_code == 404, path
    for path in ("/api/questions/nobody/video", "/api/frames/nobody/x"):
        assert visitor.client.get(path).status_code == 422, path


def test_a_video_is_served_in_ranges_and_never_as_a_page(visitor, session, two, clips):
    clip = clips / "h264_forty.mp4"
    key = visitor.upload("/api/questions", clip, "mine.mp4").json()["id"]
    part = visitor.client.get(f"/api/questions/{key}/video", headers={"range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == clip.read_bytes()[10:20]
    assert part.headers["content-type"] == "video/mp4"
    key = visitor.upload("/api/questions", clip, "mine.avi").json()["id"]
    answer = visitor.client.get(f"/api/questions/{key}/video")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_question_needs_two_classes_before_anything_is_uploaded(visitor, session, clips):
    visitor.make_class("alone", clips / "vp9.webm")
    answer = visitor.upload("/api/questions", clips / "vp9.webm", "mine.webm")
    assert answer.json()["error"].startswith("an answer needs two classes with a clip each")
    answer = visitor.upload("/api/questions", clips / "vp9.webm", "mine.webm", window=0)
    assert answer.json()["error"] == "windows of 0 seconds: they may have 0.5 to 600"


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tasd\[app\]'"):
        command()
