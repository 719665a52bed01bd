"""``tasd demo --real``: label real clips that ship with tasd, without any training.

The clips lie in ``clips/``: ``support/<class>/`` holds the examples, ``queries/<class>/`` the clips
to label. Their README says where they come from and by which rule they were chosen.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from prep.clip import Clip, frame_settings
from prep.decode import Decoder
from prep.ffmpeg_process import find_ffmpeg
from tasd.backbones import DEFAULT_BACKBONE
from tasd.demo.folder import PICTURE, check_folder
from tasd.demo.sheet import Strip, contact_sheet
from tasd.device import pick_device
from tasd.errors import UserError
from tasd.files import replacing
from tasd.foreign import clean
from tasd.predict.answer import Answer
from tasd.predict.labeller import Labeller
from tasd.progress import PhaseLine

CLIPS = Path(__file__).parent / "clips"
MATCHER = "bimhm"
FEW = "Ten answers say little: BENCHMARKS.md has the share over 2,000 draws of such clips."
FRAMES, SIDE = 8, 128  # frames of a clip in the picture, and their side before they are drawn


@dataclass(frozen=True)
class Labelled:
    """A query and its answer."""

    clip: Path
    truth: str
    answer: Answer

    @property
    def right(self) -> bool:
        """True where the answer is the class of the clip."""
        return self.answer.label == self.truth


def real_demo(out: Path, *, device: str, console: Console) -> list[Labelled]:
    """Label the clips, print the answers, and draw them to ``real.png`` in ``out``.

    Raises `UserError`, before anything is written where the device or the folder will not do.
    """
    pick_device(device)
    check_folder(out)
    support, queries = _clips("support"), _clips("queries")
    console.print(
        f"{len(queries)} photographed clips of {len(set(support.values()))} exercises, "
        f"{len(support)} others as examples; {DEFAULT_BACKBONE} with ImageNet weights and the "
        f"matcher {MATCHER}, nothing is trained",
        highlight=False,
    )
    recognizer = Labeller(DEFAULT_BACKBONE, matcher=MATCHER, device=device, cache=False)
    with PhaseLine(console, first="reading the clips", silent=not console.is_terminal):
        recognizer.fit(CLIPS / "support")
        answers = [*recognizer.answers([*queries])]
    labelled = [
        Labelled(clip, truth, answer)
        for (clip, truth), answer in zip(queries.items(), answers, strict=True)
    ]
    console.print(table(labelled, ways=len(recognizer.classes_)))
    try:
        with replacing(out / PICTURE) as temporary:
            _draw(support, labelled).save(temporary, "png")
    except OSError as error:
        raise UserError(
            f"{out / PICTURE} cannot be written ({error.strerror or error}); name another folder "
            "with --out"
        ) from None
    console.print(clean(out / PICTURE), highlight=False, markup=False, soft_wrap=True)
    return labelled


def table(labelled: Sequence[Labelled], *, ways: int) -> Table:
    """Make the table of all answers, right and wrong ones."""
    right = sum(each.right for each in labelled)
    made = Table(
        title=f"{right} of {len(labelled)} are right; guessing gets {len(labelled) / ways:g}",
        caption=f"share: of the scores among these classes, no certainty. {FEW}",
    )
    for name in ("clip", "it is", "answer", "share", ""):
        made.add_column(name, justify="right" if name == "share" else "left")
    for each in labelled:
        label = each.answer.label
        share = "" if label is None else f"{each.answer.probabilities[label]:.0%}"
        mark = "right" if each.right else "wrong"
        made.add_row(each.clip.stem, each.truth, label or each.answer.problem, share, mark)
    return made


def _clips(part: str) -> dict[Path, str]:
    """Return the clips of a part, in the order of classes and names, with their classes."""
    return {clip: clip.parent.name for clip in sorted((CLIPS / part).glob("*/*.mp4"))}


def _draw(support: dict[Path, str], labelled: Sequence[Labelled]) -> Image.Image:
    queries = [each.clip for each in labelled]
    frames = _frames([*support, *queries])
    examples = [Strip(frames[clip], name) for clip, name in support.items()]
    answered = [
        Strip(frames[each.clip], each.truth, each.answer.label or "unreadable") for each in labelled
    ]
    right = sum(each.right for each in labelled)
    title = (
        f"no training: {DEFAULT_BACKBONE} with ImageNet weights, {len(support)} examples, "
        f"{right} of {len(labelled)} answers right"
    )
    return contact_sheet(examples, answered, title=title)


def _frames(clips: Sequence[Path]) -> dict[Path, np.ndarray]:
    """Decode the frames of clips for the picture: (time, height, width, 3) RGB each."""
    settings = frame_settings(frames=str(FRAMES), fps=None, resize="square", size=SIDE)
    decoded = Decoder(find_ffmpeg(), settings).decode(clips)
    found = {}
    for path, clip in zip(clips, decoded, strict=True):
        assert isinstance(clip, Clip), f"{path}: {clip}"
        pictures = [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in clip.jpegs]
        found[path] = np.stack([np.asarray(picture) for picture in pictures])
    return found
