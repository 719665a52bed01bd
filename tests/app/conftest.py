"""A session on the smallest network, and a client of it without a browser."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tasd.app.api import make_app
from tasd.app.engine import Engine
from tasd.app.folder import SessionFolder
from tasd.app.guard import Access
from tasd.app.session import Session
from tasd.predict.choice import Choice
from tasd.predict.untrained import untrained_network
from tests.predict.conftest import clips, resnet8_weights

__all__ = ["clips", "resnet8_weights"]

CHANGE = {"x-tasd": "1"}


@pytest.fixture(scope="session")
def network(resnet8_weights):
    return untrained_network("resnet8", weights=str(resnet8_weights), crop=64)


@pytest.fixture
def engine(network) -> Engine:
    return Engine(Choice(network), device="cpu")


@pytest.fixture
def session(engine) -> Iterator[Session]:
    made = Session(engine, SessionFolder(most_upload=1 << 20))
    yield made
    made.close()


class Visitor:
    """A client that waits until the network has read all."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def state(self) -> dict:
        end = time.monotonic() + 200
        while time.monotonic() < end:
            state = self.client.get("/api/state").json()
            if not state["left"]:
                return state
            time.sleep(0.02)
        raise AssertionError("the network never ended")

    def send(self, method: str, path: str, body: dict | None = None):
        return self.client.request(method, path, json=body, headers=CHANGE)

    def upload(self, path: str, clip: Path | bytes, name: str, **options):
        content = clip if isinstance(clip, bytes) else clip.read_bytes()
        query = {"name": name, **options}
        return self.client.post(path, content=content, params=query, headers=CHANGE)

    def make_class(self, name: str, *clips: Path) -> str:
        key = self.send("POST", "/api/classes", {"name": name}).json()["id"]
        for clip in clips:
            answer = self.upload(f"/api/classes/{key}/clips", clip, clip.name)
            assert answer.status_code == 200, answer.text
        return key


@pytest.fixture
def visitor(session) -> Iterator[Visitor]:
    app = make_app(session, Access("127.0.0.1", 7860))
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        yield Visitor(client)


@pytest.fixture
def two(visitor, clips) -> dict[str, str]:
    """Two classes with a clip each."""
    return {
        "waving": visitor.make_class("waving", clips / "mpeg4.avi"),
        "jumping": visitor.make_class("jumping", clips / "h264_forty.mp4"),
    }
