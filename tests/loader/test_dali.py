"""DALI's frames against the reference's, and that nothing but the views decides them."""

import itertools

import pytest
import torch

from tasd.episodes import View
from tasd.loader import dali, open_views
from tasd.types import Normalisation

CORNERS = [*itertools.product((0.0, 0.5, 1.0), repeat=2), (0.137, 0.861)]


def furthest(one: torch.Tensor, other: torch.Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


@pytest.mark.parametrize("size", [31, 32, 45, 48])
@pytest.mark.parametrize("video", ["a/square", "a/wide", "b/tall"])
def test_dali_equals_the_reference_at_every_corner(store, load, video, size):
    views = [
        View(video, (0.0, 0.5, 0.99), crop=crop, flip=flip)
        for crop in CORNERS
        for flip in (False, True)
    ]
    (ours,) = load(store, [views], size=size)
    (reference,) = load(store, [views], size=size, kind="torch")
    assert ours.shape == (len(views), 3, size, size, 3)
    assert ours.dtype == torch.uint8
    assert furthest(ours, reference) <= 2


def test_the_whole_frame_is_a_crop_too(make_store, load):
    store = make_store({"a/square": (64, 64)})
    view = View("a/square", (0.3,), crop=(1.0, 0.0), flip=True)
    (ours,) = load(store, [[view]], size=64)
    (reference,) = load(store, [[view]], size=64, kind="torch")
    assert furthest(ours, reference) <= 2


@pytest.mark.parametrize("jitter", [(1.4, 1.0, 1.0), (1.0, 0.6, 1.0), (1, 1, 1.7), (0.7, 1.3, 0.4)])
def test_dali_jitters_as_the_reference_does(store, load, jitter):
    views = [
        View("a/wide", (0.2, 0.8), crop=(0.3, 0.9), flip=True, jitter=tuple(map(float, jitter))),
        View("b/tall", (0.2, 0.8)),
    ]
    (ours,) = load(store, [views])
    (reference,) = load(store, [views], kind="torch")
    (plain,) = load(store, [[views[1]]])
    assert furthest(ours, reference) <= 3
    assert torch.equal(ours[1], plain[0])


@pytest.mark.parametrize("jitter", [(1.0, 1.0, 1.0), (0.7, 1.3, 0.4)])
@pytest.mark.parametrize("kind", ["dali", "torch"])
def test_normalised_batches_are_float32_with_channels_first(store, load, kind, jitter):
    scale = Normalisation(mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 0.2))
    views = [
        View("a/wide", (0.2, 0.8), crop=(0.3, 0.9), flip=True, jitter=jitter),
        View("b/tall", (0.2, 0.8), crop=(0.1, 0.0)),
    ]
    (floats,) = load(store, [views], kind=kind, normalise=scale)
    (pixels,) = load(store, [views], kind=kind)
    expected = (pixels / 255 - torch.tensor(scale.mean)) / torch.tensor(scale.std)
    assert floats.shape == (2, 2, 3, 32, 32)
    assert floats.dtype == torch.float32
    assert torch.allclose(floats, expected.movedim(-1, 2), atol=1e-5)


def some_batches() -> list[list[View]]:
    """Five batches of unlike shapes; the fourth is jittered."""
    batches = []
    for number, (views, time) in enumerate([(3, 2), (1, 5), (4, 1), (2, 2), (3, 2)]):
        jitter = (1.1, 0.9, 1.2) if number == 3 else (1.0, 1.0, 1.0)
        names = itertools.islice(itertools.cycle(["a/square", "b/tall", "a/wide"]), views)
        batches.append(
            [
                View(
                    name,
                    tuple((t + 0.5) / time for t in range(time)),
                    crop=(0.1 * number, 0.2 * place),
                    flip=(number + place) % 2 == 0,
                    jitter=jitter,
                )
                for place, name in enumerate(names)
            ]
        )
    return batches


@pytest.mark.parametrize(("prefetch", "threads"), [(1, 1), (1, 3), (4, 2), (9, 1)])
@pytest.mark.parametrize("kind", ["dali", "torch"])
def test_a_batch_does_not_depend_on_prefetch_threads_or_order(store, load, kind, prefetch, threads):
    batches = some_batches()
    alone = [load(store, [batch], kind=kind)[0] for batch in batches]
    options = {"kind": kind, "prefetch": prefetch, "threads": threads}
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        together = load(store, [batches[i] for i in order], **options)
        assert len(together) == len(batches)
        for place, number in enumerate(order):
            assert torch.equal(together[place], alone[number])


def test_batches_past_a_pipelines_room_get_their_own(store, load, monkeypatch):
    monkeypatch.setattr(dali, "MOST_FRAMES", 4)
    batches = some_batches()
    limited = load(store, batches)
    monkeypatch.undo()
    assert all(map(torch.equal, limited, load(store, batches)))


def test_frames_stay_valid_after_later_batches(store, load):
    batches = some_batches()[:1] * 20
    frames = load(store, batches)
    assert all(torch.equal(frames[0], later) for later in frames)
    assert len({batch.data_ptr() for batch in frames}) == len(frames)


@pytest.mark.gpu
def test_the_gpu_gives_the_references_pixels(store, load, cuda):
    for batch in some_batches():
        (ours,) = load(store, [batch], device=cuda)
        (reference,) = load(store, [batch], kind="torch")
        difference = (ours.cpu().int() - reference.int()).abs()
        assert ours.device.type == "cuda"
        assert difference.float().mean() < 1
        assert difference.float().quantile(0.999) <= 4


@pytest.mark.gpu
def test_gpu_frames_survive_being_used_late(store, load, cuda):
    """Work queued behind slow kernels must still see its own batch, not a later one."""
    batches = [[View("b/tall", (0.5,), crop=(n / 60, n / 60))] for n in range(60)]
    expected = [int(frames.long().sum()) for frames in load(store, batches, device=cuda)]
    busy, late = torch.randn(4096, 4096, device=cuda), []
    for frames in open_views(store, batches, size=32, device=cuda, kind="dali"):
        busy = busy @ busy / 4096
        late.append((frames.long() + 0 * busy[0, 0].long()).sum())
    assert [int(total) for total in late] == expected
