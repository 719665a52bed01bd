"""A visit with a real browser, from an empty page to a corrected answer; the server's end."""

import signal
import threading
import time
import zipfile

import pytest
import uvicorn

from tasd.app.api import make_app
from tasd.app.guard import access
from tasd.app.serve import bind
from tasd.errors import UserError
from tests.app_server import chromium, running

HTML = "<img src=x onerror=alert(1)>"
PATIENCE = 120_000  # milliseconds; every wait is for a state, however busy the machine is
FLAGS = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-gpu"]


@pytest.fixture
def address(session):
    bound, allowed = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        make_app(session, allowed), log_level="error", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    yield allowed.address
    server.should_exit = server.force_exit = True
    thread.join(10)
    bound.close()


@pytest.fixture
def page(address):
    api = pytest.importorskip("playwright.sync_api")
    if chromium() is None:
        pytest.skip("no Chromium is installed: chromium, chromium-browser or google-chrome")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.faults, page.hosts = [], set()
        page.on("console", lambda m: page.faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
        page.goto(address)
        yield page
        browser.close()


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def until(page, script: str, given: object = None) -> None:
    """Wait until a function is true of the page.

    Not `wait_for_function`: where it is not true at once, the page's own rules forbid its `eval`.
    """
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(script, given):
        assert time.monotonic() < end, script
        page.wait_for_timeout(50)


def shows(page, selector: str, count: int) -> None:
    """Wait until the page, which is drawn again at each change, has so many of these."""
    many = "([css, count]) => document.querySelectorAll(css).length === count"
    until(page, many, [selector, count])


def read(page) -> None:
    """Wait until the network has read all."""
    until(page, "async () => (await (await fetch('/api/state')).json()).left === 0")


def test_a_whole_visit(page, clips, address, tmp_path):
    page.get_by_role("button", name="Try with the example clips").wait_for()
    assert page.locator("#ask-file").is_disabled()
    for name, clip in ((HTML, "mpeg4.avi"), ("jumping", "h264_forty.mp4")):
        page.get_by_label("Name of a new class").fill(name)
        page.keyboard.press("Enter")
        picker = page.get_by_label(f"Add clips to {name}", exact=True)
        picker.set_input_files(clips / clip)
    page.locator(".class .frames img").nth(15).wait_for()
    assert page.locator(".class img[onerror]").count() == 0

    page.locator("#ask-file").set_input_files(clips / "wide_pixels.mp4")
    page.locator(".scores button").nth(1).wait_for()
    shows(page, ".question .pair > div:first-child .frames img", 8)
    shows(page, ".nearest .frames img", 8)
    until(
        page,
        """() => {
            const bars = [...document.querySelectorAll(".bar i")];
            const [first, second] = bars.map((bar) => bar.getBoundingClientRect().width);
            return first > second && second > 0;
        }""",
    )
    read(page)
    page.locator("#status").wait_for(state="hidden")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert fits(page), width
    chosen = page.locator(".scores button").nth(1)
    chosen.focus()
    page.keyboard.press("Enter")
    page.get_by_text("An example of").wait_for()
    shows(page, ".class .clip", 3)

    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_label("a timeline, every").check()
    page.get_by_label("seconds of a window").fill("1")
    page.locator("#ask-file").set_input_files(clips / "h264_forty.mp4")
    page.locator(".timeline button").first.wait_for()
    assert fits(page)
    page.evaluate("document.querySelector('.question video').currentTime = 3")
    page.locator(".moments button").first.click()
    until(page, "() => document.querySelector('.question video').currentTime < 0.1")
    page.locator(".timeline button").last.click()
    last = page.locator(".moments button[aria-current=true]")
    last.wait_for()
    page.locator("#ask-file").set_input_files(clips / "motion_jpeg.avi")
    page.get_by_text("This browser cannot play the video's codec").first.wait_for()

    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    download.value.save_as(tmp_path / "own.zip")
    with zipfile.ZipFile(tmp_path / "own.zip") as packed:
        assert len(packed.namelist()) == 3
    assert page.hosts == {address.split("/")[2]}
    assert [fault for fault in page.faults if "codec" not in fault] == []


def test_the_camera_asks(page, clips, session, address):
    for name, clip in (("waving", "mpeg4.avi"), ("jumping", "vp9.webm")):
        made = session.add_class(name)
        session.add_example(made.id, clip, clips / clip)
    page.reload()
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Record").click()
    until(page, "() => document.querySelector('#preview').currentTime > 0.8")
    page.get_by_role("button", name="Stop and ask").click()
    page.locator(".scores button").nth(1).wait_for()
    page.locator(".question .caption span", has_text="camera 1.webm").wait_for()
    page.get_by_role("button", name="Close the camera").click()
    assert page.faults == []


def test_clips_are_dropped_and_a_mistake_is_one_line(page, session, clips):
    made = session.add_class("waving")
    page.locator(".class").wait_for()
    drop = """([card, name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name));
        card.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
    }"""
    card = page.locator(".class").element_handle()
    page.evaluate(drop, [card, "a.mp4", list((clips / "h264_forty.mp4").read_bytes())])
    page.locator(".class .frames img").nth(7).wait_for()
    assert len(session.class_of(made.id).clips) == 1
    page.locator(".class input[type=file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"text"}
    )
    page.get_by_text("notes.txt does not end like a video").wait_for()
    assert page.locator("#error").get_attribute("role") == "alert"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_server_ends_cleanly(tmp_path, resnet8_weights, number, code):
    words = ["--backbone", "resnet8", "--weights", resnet8_weights]
    before = set(tmp_path.parent.glob("*"))
    with running(*words, cwd=tmp_path, forked=True) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(200) == code
    assert not list(tmp_path.glob("tasd-app-*"))
    assert set(tmp_path.parent.glob("*")) == before


def test_a_taken_port_is_one_line():
    bound, allowed = bind("127.0.0.1", 0)
    with (
        bound,
        pytest.raises(UserError, match=r"cannot be used \(Address already in use\)") as told,
    ):
        bind("127.0.0.1", allowed.port)
    assert "--port 0" in str(told.value)
    for host, port in (("no.such.host.invalid", 0), ("127.0.0.1", 70_000)):
        with pytest.raises(UserError, match="cannot be used"):
            bind(host, port)
    assert access("localhost", 1).token == ""
