"""What commands that begin with a run have in common: their options, and what these mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tasd.errors import UserError

if TYPE_CHECKING:
    from tasd.evaluation.candidates import Candidate
    from tasd.evaluation.episodes import EpisodeRequest
    from tasd.extraction.run import Extraction
    from tasd.runs.folder import Run

RunOption = Annotated[
    Path | None, typer.Option(help="A run; default: the newest that has a best checkpoint.")
]
StoreOption = Annotated[
    Path | None, typer.Option(help="Prepared store; default: the one the run was trained on.")
]
CheckpointOption = Annotated[
    Path | None, typer.Option(help="Another checkpoint of the run than its best.")
]
NetworkOption = Annotated[str, typer.Option(help="student, teacher or both.")]
PrecisionOption = Annotated[
    str | None, typer.Option(help="Of the network, bf16 or float32; default: as it was trained.")
]
HalfOption = Annotated[bool, typer.Option("--half", help="Keep features in float16.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def device_called(name: str) -> str:
    """The device that ``--device`` means. Raises `UserError`."""
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
    """How features are made, by the options of a command. Raises `UserError`."""
    from tasd.extraction.run import Extraction
    from tasd.registry import pick

    networks = {"both": (), "student": ("student",), "teacher": ("teacher",)}
    precisions: dict[str, Literal["bf16", "float32"]] = {"bf16": "bf16", "float32": "float32"}
    return Extraction(
        split=split,
        networks=pick(networks, network, what="network"),
        matcher=matcher,
        precision=None if precision is None else pick(precisions, precision, what="precision"),
        half=half,
        device=device,
    )


def run_called(path: Path | None) -> "Run":
    """The run in a folder; by default the newest, which is said. Raises `UserError`."""
    from tasd.runs.folder import Run, newest

    run = newest() if path is None else Run(path)
    run.config()  # a folder that is no run is told as such
    if path is None:
        typer.echo(f"the newest run with a best checkpoint: {run.path}", err=True)
    return run


def candidate_of_run(
    run: "Run",
    how: "Extraction",
    *,
    store: Path | None,
    checkpoint: Path | None,
    request: "EpisodeRequest | None" = None,
) -> "Candidate":
    """The networks of a run. Raises `UserError`.

    shape: of episodes that the classes under test must fill, which is checked before hours of work.
    """
    from tasd.evaluation.candidates import of_run
    from tasd.evaluation.episodes import sampler
    from tasd.runs.checkpoint import load
    from tasd.runs.stores import find_store

    source = checkpoint or run.best
    saved = load(source)
    with find_store(store, saved) as opened:
        if request is not None and request.file is None:
            sampler(request, opened, how.split)
        return of_run(run, saved, opened, how, source=source)


def seeds_of(text: str) -> tuple[int, ...]:
    """``"0"``, ``"0,3,7"`` or ``"0-4"`` as numbers. Raises `UserError`."""
    try:
        ends = [part.split("-") for part in text.split(",")]
        seeds = tuple(s for end in ends for s in range(int(end[0]), int(end[-1]) + 1))
    except ValueError:
        seeds = ()
    if not seeds:
        raise UserError(f"--seeds {text!r} are no seeds; write 0, 0,3,7 or 0-4")
    return seeds
