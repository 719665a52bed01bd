"""Options that several commands share, and functions that read them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tasd.cli.say import say
from tasd.errors import Mistakes, UserError

if TYPE_CHECKING:
    from tasd.evaluation.candidates import Candidate
    from tasd.evaluation.episodes import EpisodeRequest
    from tasd.extraction.backbone import Pooling
    from tasd.extraction.run import Extraction
    from tasd.runs.folder import Run

RunOption = Annotated[
    Path | None, typer.Option(help="A run; default: the newest that has a best checkpoint.")
]
ChoiceOption = Annotated[
    Path | None,
    typer.Option(
        help="A run or an export; default: the newest run with a pretrained backbone, else the "
        "default of --backbone."
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(help="A pretrained backbone in place of a run: an answer without training."),
]
BareMatcherOption = Annotated[
    str | None,
    typer.Option(help="Matcher of --backbone, one without weights of its own; default: bimhm."),
]
RunStoreOption = Annotated[
    Path | None, typer.Option(help="The run's store, where it is not under $TASD_HOME.")
]
StoreOption = Annotated[
    Path | None, typer.Option(help="Prepared store; default: the one that the run was trained on.")
]
CheckpointOption = Annotated[
    Path | None, typer.Option(help="Checkpoint of the run; default: the best.")
]
NetworkOption = Annotated[str, typer.Option(help="Network of the run: student, teacher or both.")]
PrecisionOption = Annotated[
    str | None, typer.Option(help="Precision of the network: bf16 or float32; default: as trained.")
]
HalfOption = Annotated[
    bool, typer.Option("--half", help="Keep features in float16, half the size.")
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Weights of --backbone: imagenet (default), or a file.")
]
FramesOption = Annotated[
    int | None,
    typer.Option(min=1, help="Frames of each video, with --backbone; default: 8."),
]
CropOption = Annotated[
    int | None,
    typer.Option(
        min=32, help="Side of the crop in pixels, with --backbone; default: that of its weights."
    ),
]
PretrainedOverlapOption = Annotated[
    bool,
    typer.Option(
        "--allow-pretrained-overlap", help="Accept weights that were trained on test classes."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def device_called(name: str) -> str:
    """Return the device that ``--device`` names. Raises `UserError`."""
    from tasd.device import pick_device

    return str(pick_device(name))


def extraction(
    network: str,
    split: str,
    matcher: str | None,
    precision: str | None,
    half: bool,
    device: str,
) -> "Extraction":
    """Return the settings of an extraction from the options of a command. Raises `UserError`."""
    from tasd.cli.checks import check_matcher
    from tasd.extraction.run import Extraction
    from tasd.registry import pick
    from tasd.store.format import SPLIT_NAMES
    from tasd.store.source import ALL

    networks = {"both": (), "student": ("student",), "teacher": ("teacher",)}
    precisions: dict[str, Literal["bf16", "float32"]] = {"bf16": "bf16", "float32": "float32"}
    with Mistakes() as mistakes:
        mistakes.of(check_matcher, matcher)
        mistakes.of(pick, dict.fromkeys((*SPLIT_NAMES, ALL)), split, what="split")
        mistakes.of(pick, networks, network, what="network")
        if precision is not None:
            mistakes.of(pick, precisions, precision, what="precision")
    return Extraction(
        split=split,
        networks=networks[network],
        matcher=matcher,
        precision=None if precision is None else precisions[precision],
        half=half,
        device=device,
    )


def backbone_options(
    weights: str | None, frames: int | None, crop: int | None, allow_pretrained_overlap: bool
) -> dict[str, Any]:
    """Return the options for --backbone that were given, by their names in `Pooling`."""
    every = {
        "weights": weights,
        "frames": frames,
        "crop": crop,
        "allow_pretrained_overlap": allow_pretrained_overlap or None,
    }
    return {name: value for name, value in every.items() if value is not None}


def pooling(backbone: str, given: dict[str, Any], how: "Extraction") -> "Pooling":
    """Return the settings of a plain backbone from the options of a command."""
    from tasd.extraction.backbone import Pooling

    if how.precision is not None:
        given = given | {"precision": how.precision}
    return Pooling(backbone, half=how.half, device=how.device, **given)


def refuse(options: Iterable[str], why: str) -> None:
    """Raise `UserError` for each of ``options``, names as of Python, if there is any."""
    with Mistakes() as mistakes:
        for name in options:
            mistakes.add(UserError(f"--{name.replace('_', '-')} {why}; leave it out"))


def run_called(path: Path | None) -> "Run":
    """Return the run in a folder; default: the newest, which is printed. Raises `UserError`."""
    from tasd.runs.folder import Run, newest

    run = newest() if path is None else Run(path)
    run.config()  # raises for a folder that is not a run
    if path is None:
        say(f"the newest run with a best checkpoint: {run.path}", err=True)
    return run


def candidate_of_run(
    run: "Run",
    how: "Extraction",
    *,
    store: Path | None,
    checkpoint: Path | None,
    request: "EpisodeRequest | None" = None,
    floor: bool = False,
) -> "Candidate":
    """Return the networks of a run with their features. Raises `UserError`.

    request: episodes that the classes under test must fill; checked before the features are
    computed, which may take hours. floor: add the starts of the run, without any training.
    """
    from tasd.evaluation.candidates import of_run
    from tasd.evaluation.episodes import check_episodes
    from tasd.evaluation.floor import with_floor
    from tasd.runs.checkpoint import load
    from tasd.runs.stores import find_store

    source = checkpoint or run.best
    saved = load(source)
    with find_store(store, saved) as opened:
        if request is not None:
            check_episodes(opened, how.split, request)
        candidate = of_run(run, saved, opened, how, source=source)
        return with_floor(candidate, run, saved, opened, how) if floor else candidate


def candidate_of_backbone(
    how: "Pooling",
    *,
    split: str,
    matcher: str,
    store: Path | None,
    request: "EpisodeRequest",
) -> "Candidate":
    """Return a plain backbone with its features of a store. Raises `UserError`.

    store: default: the only one. request: as for `candidate_of_run`.
    """
    from tasd.evaluation.candidates import of_backbone
    from tasd.evaluation.episodes import check_episodes
    from tasd.home import only_store
    from tasd.store import Store

    with Store(store or only_store()) as opened:
        check_episodes(opened, split, request)
        return of_backbone(opened, how, matcher=matcher, split=split)


def seeds_of(text: str) -> tuple[int, ...]:
    """Read ``"0"``, ``"0,3,7"`` or ``"0-4"`` as numbers. Raises `UserError`."""
    try:
        ends = [part.split("-") for part in text.split(",")]
        seeds = tuple(s for end in ends for s in range(int(end[0]), int(end[-1]) + 1))
    except ValueError:
        seeds = ()
    if not seeds:
        raise UserError(f"--seeds {text!r} is not a list of seeds; write 0, 0,3,7 or 0-4")
    return seeds
