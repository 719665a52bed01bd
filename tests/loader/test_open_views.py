"""Behaviour that both loaders share: messages, endings, fallbacks, memory."""

import io
import logging
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from PIL import Image

from tasd import loader
from tasd.episodes import View
from tasd.errors import UserError
from tasd.loader import LOADERS, open_views, views
from tasd.loader.encoded import misfits
from tasd.store import Store
from tests import forks
from tests.stores import write_store

KINDS = sorted(LOADERS)
VIEW = View("b/tall", (0.1, 0.3, 0.5, 0.7, 0.9))


def test_a_crop_larger_than_the_stored_frames_is_one_clear_line(make_store):
    store = make_store({"a/square": (64, 64), "a/wide": (48, 83)})
    with pytest.raises(UserError) as refused:
        open_views(store, [], size=56, device="cpu")
    message = str(refused.value)
    assert "\n" not in message
    assert "crop of 56 pixels does not fit video 'a/wide'" in message
    assert "83x48; give --crop 48 or less" in message


def test_what_a_store_lacks_for_the_frames_and_the_crop_is_told(tmp_path):
    store = Store(write_store(tmp_path / "store", videos=1, frames=8, side=72))
    assert misfits(store, frames=8, size=40) == []
    (short,) = misfits(store, frames=20, size=40)
    for part in ("hold fewer frames than data.frames = 20", "the shortest 8", "--frames 20"):
        assert part in short
    (small,) = misfits(store, frames=8, size=36)
    assert "a crop of 36 pixels sees a quarter or less of frames stored at 72" in small
    assert "tasd prep --size 36" in small


def test_an_unknown_loader_is_answered_with_the_known_ones(store):
    with pytest.raises(UserError, match=r"no loader is called 'dalli'.*did you mean 'dali'"):
        open_views(store, [], size=32, device="cpu", kind="dalli")


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_that_the_store_does_not_hold_is_named(store, load, kind):
    with pytest.raises(UserError, match="no video 'a/missing'"):
        load(store, [[VIEW], [View("a/missing", (0.5,))]], kind=kind)


def small_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 90, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def scrambled_head(jpeg: bytes) -> bytes:
    return jpeg[:20] + bytes(180) + jpeg[200:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["text", "cut", "head", "size"])
def test_a_broken_jpeg_is_named_by_video_and_frame(store, make_store, load, kind, damage):
    whole = bytes(store.jpegs("b/tall", [3])[0])
    content = {
        "text": b"this was never a picture",
        "cut": whole[: len(whole) // 3],
        "head": scrambled_head(whole),
        "size": small_jpeg(),
    }[damage]
    broken = make_store(replaced={("b/tall", 3): content})
    bottom = View("b/tall", VIEW.positions, crop=(1.0, 0.5))
    other = View("a/square", VIEW.positions)
    with pytest.raises(UserError, match=r"frame 3 of video 'b/tall'.*tasd check") as refused:
        load(broken, [[other], [other, bottom], [other]], kind=kind)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_before_a_broken_one_still_arrive(make_store, kind):
    store = make_store(replaced={("b/tall", 3): b"no picture"})
    good, bad = [View("a/square", (0.5,))], [VIEW]
    arrived = iter(open_views(store, [good] * 4 + [bad], size=32, device="cpu", kind=kind))
    assert [next(arrived).shape[0] for _ in range(4)] == [1, 1, 1, 1]
    with pytest.raises(UserError, match="frame 3 of video 'b/tall'"):
        next(arrived)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_one_who_draws_the_batches_is_passed_on(store, kind):
    def batches():
        yield [VIEW]
        raise UserError("drawn badly")

    with pytest.raises(UserError, match="drawn badly"):
        list(open_views(store, batches(), size=32, device="cpu", kind=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_no_batches_are_no_batches(store, load, kind):
    assert load(store, [], kind=kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_consumer_may_stop_early_and_begin_again(store, kind):
    views = open_views(store, [[VIEW]] * 50, size=32, device="cpu", kind=kind)
    for _ in range(3):
        for frames in views:
            assert frames.shape == (1, 5, 32, 32, 3)
            break
    assert len(list(views)) == 50


STOPS_EARLY = """
    import sys
    from tasd.episodes import View
    from tasd.loader import LOADERS, open_views
    from tasd.store import Store

    store, held = Store(sys.argv[1]), []
    for kind in LOADERS:
        batches = [[View("b/tall", (0.5,) * 8)]] * 100
        iterator = iter(open_views(store, batches, size=32, device="cpu", kind=kind))
        held.append((iterator, next(iterator)))
    print("last line")
"""


def test_a_program_that_ends_in_the_middle_does_not_hang(store):
    program = [sys.executable, "-W", "error", "-c", textwrap.dedent(STOPS_EARLY), store.path]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "last line\n", "")


@pytest.fixture
def without_dali(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    for cached in (loader.why_no_dali, views._without_dali):
        cached.cache_clear()
    yield
    for cached in (loader.why_no_dali, views._without_dali):
        cached.cache_clear()


def test_without_dali_the_torch_loader_serves_and_says_so_once(without_dali, store, caplog):
    with caplog.at_level(logging.WARNING):
        opened = [open_views(store, [[VIEW]], size=32, device="cpu") for _ in range(3)]
    assert [views.kind for views in opened] == ["torch"] * 3
    assert [len(list(views)) for views in opened] == [1, 1, 1]
    (said,) = caplog.messages
    assert said.startswith("NVIDIA DALI cannot be imported")


def test_dali_by_name_without_dali_is_refused(without_dali, store):
    with pytest.raises(UserError, match=r"'dali' cannot be imported.*choose the loader 'torch'"):
        open_views(store, [], size=32, device="cpu", kind="dali")


def test_auto_is_dali_where_it_is_installed(store):
    assert open_views(store, [], size=32, device="cpu").kind == "dali"


@pytest.mark.parametrize("kind", KINDS)
def test_waited_counts_the_seconds_that_the_consumer_was_kept(store, kind):
    def slow_batches():
        for _ in range(4):
            time.sleep(0.05)
            yield [VIEW]

    views = open_views(store, slow_batches(), size=32, device="cpu", kind=kind)
    assert views.waited == 0
    before = time.perf_counter()
    for _ in views:
        time.sleep(0.1)  # the consumer's own time is no waiting
    elapsed = time.perf_counter() - before
    assert 0.2 <= views.waited <= elapsed - 0.4


GROWTH = """
    import os
    import sys
    from tasd.episodes import View
    from tasd.loader import open_views
    from tasd.store import Store

    def resident_bytes():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    path, kind, episodes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    view = View("b/tall", (0.1, 0.3, 0.5, 0.7, 0.9))
    batches = [[view] * 8] * (100 + episodes)  # 120 KiB of pixels each
    views = open_views(Store(path), batches, size=32, device="cpu", kind=kind)
    for number, frames in enumerate(views):
        if number == 100:
            before = resident_bytes()
    print((resident_bytes() - before) / (episodes * frames.nbytes))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's /proc")
@pytest.mark.parametrize(("kind", "episodes"), [("dali", 300), ("torch", 200)])
def test_memory_stays_flat(store, kind, episodes):
    """In a process of its own: what other tests left there would be freed or grow meanwhile."""
    program = [sys.executable, "-c", textwrap.dedent(GROWTH), str(store.path), kind, str(episodes)]
    ended = forks.run(program, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 0.25  # of the pixels that passed


def test_a_gpu_without_a_number_is_the_current_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    expected = {"cuda": "cuda:3", "cuda:1": "cuda:1", "cpu": "cpu"}
    for given, device in expected.items():
        assert views._indexed(torch.device(given)) == torch.device(device)
