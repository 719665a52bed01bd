"""The reference loader against torchvision's own decoder, crop and flip."""

import pytest
import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

from tasd.episodes import View
from tasd.errors import UserError
from tasd.loader.encoded import EncodedFrame
from tasd.loader.pillow import decoded


def by_torchvision(store, view, frame, size):
    data = torch.frombuffer(bytearray(store.jpegs(view.video, [frame])[0]), dtype=torch.uint8)
    image = decode_jpeg(data, mode=ImageReadMode.RGB)
    top, left = (
        round(c * (side - size)) for c, side in zip(view.crop, image.shape[1:], strict=True)
    )
    image = functional.crop(image, top, left, size, size)
    image = functional.horizontal_flip(image) if view.flip else image
    return image.permute(1, 2, 0)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("crop", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0), (0.31, 0.77)])
def test_the_reference_does_what_torchvision_does(store, load, crop, flip):
    for video in store.videos:
        view = View(video, (0.1, 0.9), crop=crop, flip=flip)
        (frames,) = load(store, [[view]], kind="torch")
        assert frames.shape == (1, 2, 32, 32, 3)
        for place, stored in enumerate([0, 4]):
            expected = by_torchvision(store, view, stored, 32)
            assert (frames[0, place].int() - expected.int()).abs().max() <= 2


def test_jitter_follows_its_formula_pixel_by_pixel(store, load):
    brightness, contrast, saturation = 1.25, 0.8, 1.5
    plain = View("a/wide", (0.5,))
    (before,) = load(store, [[plain]], kind="torch", size=8)
    jittered = View("a/wide", (0.5,), jitter=(brightness, contrast, saturation))
    (after,) = load(store, [[jittered]], kind="torch", size=8)
    for old, new in zip(before.reshape(-1, 3).tolist(), after.reshape(-1, 3).tolist(), strict=True):
        grey = 0.299 * old[0] + 0.587 * old[1] + 0.114 * old[2]
        for was, now in zip(old, new, strict=True):
            value = brightness * (128 + contrast * (grey + saturation * (was - grey) - 128))
            assert abs(now - min(max(value, 0), 255)) <= 0.51


def test_a_frame_of_another_size_than_the_index_says_is_refused(store):
    frame = EncodedFrame(store.jpegs("a/wide", [0])[0], "a/wide", 0, (64, 64))
    with pytest.raises(UserError, match=r"frame 0 of video 'a/wide'.*83"):
        decoded(frame)
