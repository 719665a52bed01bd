"""Downloads from a server that fails in all the ways of real servers."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasd.datasets import fetch as downloads
from tasd.datasets.fetch import Patience, cached_cmn_lists, cmn_list_path, fetch, fetch_cmn_lists
from tasd.errors import UserError

CONTENT = b"air drumming/aaaaaaaaaaa_000000_000010\n" * 500
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HURRIED = Patience(silence=0.3, whole=0.8, pauses=(0.01, 0.02))

Answer = Callable[[BaseHTTPRequestHandler], None]


def good(request: BaseHTTPRequestHandler, content: bytes = CONTENT, announced: int = 0) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(announced or len(content)))
    request.end_headers()
    request.wfile.write(content)


def truncated(request: BaseHTTPRequestHandler) -> None:
    good(request, CONTENT[:100], announced=len(CONTENT))


def wrong(request: BaseHTTPRequestHandler) -> None:
    good(request, b"<html>please log in</html>")


def absent(request: BaseHTTPRequestHandler) -> None:
    request.send_error(404)


def overloaded(request: BaseHTTPRequestHandler) -> None:
    request.send_error(503)


def stalling(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(CONTENT)))
    request.end_headers()
    request.wfile.write(CONTENT[:10])
    request.wfile.flush()
    time.sleep(1.0)


def trickling(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for byte in CONTENT[:20]:
        request.wfile.write(bytes([byte]))
        request.wfile.flush()
        time.sleep(0.1)


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(bytes(1 << 20))


def nonsense(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"this is not HTTP\r\n\r\n")


@dataclass
class Server:
    """A server that gives its answers in turn, and then repeats the last one."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(request.path)
        (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = False  # closing the server waits for every answer, and its socket
    state = Server(f"http://127.0.0.1:{web.server_port}")
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    web.shutdown()
    thread.join()
    web.server_close()


def get(server: Server, path: Path, *answers: Answer) -> list[float]:
    """Fetch with these answers and return the pauses between attempts."""
    server.answers = list(answers)
    pauses: list[float] = []
    fetch(
        f"{server.url}/x.list",
        path,
        sha256=SHA256,
        patience=HURRIED,
        sleep=lambda s: pauses.append(s),
    )
    return pauses


def test_what_the_hash_names_is_kept(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "below" / "x.list"
    assert get(server, path, good) == []
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("answer", "reason", "tries"),
    [
        (wrong, "its sha256 is", 1),
        (absent, "HTTP 404", 1),
        (endless, "more than 16777216 bytes", 1),
        (overloaded, "HTTP 503", 3),
        (truncated, "100 of 19500 bytes|more expected", 3),
        (stalling, r"no answer for 0\.3 s", 3),
        (trickling, r"it was not complete after 0\.8 s", 3),
        (nonsense, "this is not HTTP", 3),
    ],
)
def test_a_failure_is_one_line_that_says_where_to_put_the_file_by_hand(
    server: Server, tmp_path: Path, answer: Answer, reason: str, tries: int
) -> None:
    path = tmp_path / "x.list"
    with pytest.raises(UserError, match=reason) as caught:
        get(server, path, answer)
    line = str(caught.value)
    assert line.startswith(f"{server.url}/x.list could not be fetched")
    assert line.endswith(f"save it as {path}")
    assert "\n" not in line
    assert len(server.requests) == tries
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_recovers_is_asked_again_after_growing_pauses(
    server: Server, tmp_path: Path
) -> None:
    assert get(server, tmp_path / "x.list", overloaded, truncated, good) == [0.01, 0.02]
    assert (tmp_path / "x.list").read_bytes() == CONTENT


def test_no_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match=r"Connection refused.*save it as"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", sha256=SHA256, patience=HURRIED)


def test_a_cache_that_cannot_be_written_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written: .*set TASD_HOME"):
        get(server, tmp_path / "file" / "x.list", good)


LISTS = {split: f"bowling/{split}\n".encode() for split in ("train", "val", "test")}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and small lists in place of CMN's."""
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    hashes = {split: hashlib.sha256(text).hexdigest() for split, text in LISTS.items()}
    monkeypatch.setattr(downloads, "CMN_SHA256", hashes)
    return tmp_path / "lists" / "kinetics"


def serve_lists(server: Server) -> None:
    server.answers = [lambda request: good(request, LISTS[request.path[1:].split(".")[0]])]


def test_the_lists_of_cmn_are_fetched_once(server: Server, cache: Path) -> None:
    serve_lists(server)
    assert cached_cmn_lists() == {}
    first = fetch_cmn_lists(base_url=server.url)
    assert first == {split: cache / f"{split}.list" for split in LISTS}
    assert {split: path.read_bytes() for split, path in first.items()} == LISTS
    assert fetch_cmn_lists(base_url=server.url) == first == cached_cmn_lists()
    assert server.requests == ["/train.list", "/val.list", "/test.list"]


def test_a_list_put_there_by_hand_is_taken_and_checked(server: Server, cache: Path) -> None:
    serve_lists(server)
    cache.mkdir(parents=True)
    cmn_list_path("val").write_bytes(LISTS["val"])
    fetch_cmn_lists(base_url=server.url)
    assert server.requests == ["/train.list", "/test.list"]
    cmn_list_path("val").write_bytes(b"other")
    with pytest.raises(UserError, match="is not CMN's val list"):
        cached_cmn_lists()


def test_the_cache_lies_at_home_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASD_HOME", raising=False)
    assert cmn_list_path("test") == Path.home() / ".cache/tasd/lists/kinetics/test.list"


def test_the_address_of_the_lists_names_a_commit() -> None:
    assert "/23b5ef3e6defd4ee93e97131eb3c0b7926481f56/" in downloads.CMN_URL
