"""``tasd predict``: a person's own actions, from a few clips of each."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasd.predict import Answer, FewShotRecognizer
    from tasd.predict.formats import Lines
    from tasd.predict.windows import Windows


def predict(
    support: Annotated[
        Path, typer.Option(help="Folder <class>/<clips>: a few clips of each class.")
    ],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO...", help="Clips to label, or folders of clips."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="A run or an export; default: the newest run with a best checkpoint."),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Answer 'none of these' below a threshold.")
    ] = False,
    watch: Annotated[
        Path | None, typer.Option(help="Label the clips of this folder as they arrive.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Long videos: seconds of each window over them.")
    ] = None,
    stride: Annotated[
        float | None, typer.Option(help="Seconds between windows; default: half of --window.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="With --window: draw what is seen when (PNG).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts; a line a clip with --watch.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A line a clip, for tables.")] = False,
    store: Annotated[
        Path | None, typer.Option(help="The store it was trained on, where it is not found.")
    ] = None,
    cache: Annotated[
        bool, typer.Option(help="Keep what the network says of support clips.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Label clips by a few examples of each class.

    Nothing is trained. The classes are yours: folders of one clip or more each. A clip that
    cannot be read is reported and the rest answered; exit code 1 where none could be.
    """
    from tasd.predict.arrivals import clips_among
    from tasd.predict.recognizer import FewShotRecognizer

    windows = _windows(window, stride, timeline, watch)
    clips = clips_among(videos or [])
    _check(clips, watch, as_json=as_json, as_csv=as_csv)
    recognizer = FewShotRecognizer.from_run(
        run, reject=reject, store=store, device=device, cache=cache
    )
    _fit(recognizer, support, named=run is not None)
    if watch is not None:
        _watch(recognizer, watch, as_json=as_json, as_csv=as_csv)
        return
    began = time.monotonic()
    answers = _shown(recognizer.answers(clips, windows=windows), clips)
    found = list(
        _told(answers, _lines(recognizer, as_json=False, as_csv=True)) if as_csv else answers
    )
    seconds = time.monotonic() - began
    _print(recognizer, found, seconds=seconds, as_json=as_json, as_csv=as_csv)
    each = f", {seconds / len(clips):.2f} s each" if len(clips) > 1 else ""
    _say(f"{len(clips)} clip{'s' if each else ''} in {seconds:.1f} s{each}")
    if not any(answer.scores for answer in found):
        raise typer.Exit(1)
    if timeline is not None:
        from tasd.predict.timeline import draw_timeline

        _say(f"timeline: {draw_timeline(recognizer.classes_, found, timeline)}")


def _windows(
    window: float | None, stride: float | None, timeline: Path | None, watch: Path | None
) -> "Windows | None":
    """The windows that the options ask for. Raises `UserError`."""
    from tasd.errors import UserError
    from tasd.predict.windows import Windows

    if window is None:
        for name, value in (("--stride", stride), ("--timeline", timeline)):
            if value is not None:
                raise UserError(f"{name} {value} has no effect without --window; give one")
        return None
    if watch is not None:
        raise UserError("--watch labels whole clips; leave out --window, or --watch")
    return Windows(window, window / 2 if stride is None else stride)


def _check(clips: list[Path], watch: Path | None, *, as_json: bool, as_csv: bool) -> None:
    from tasd.errors import UserError

    if as_json and as_csv:
        raise UserError("--json and --csv exclude one another; give one of them")
    if watch is None and not clips:
        raise UserError("no clip to label; name some after the options, or a folder of them")
    if watch is not None and clips:
        raise UserError(f"--watch {watch} labels what arrives there; leave out {clips[0]}")
    if watch is not None and not watch.is_dir():
        raise UserError(f"--watch {watch} is not a folder; make it first")


def _fit(recognizer: "FewShotRecognizer", support: Path, *, named: bool) -> None:
    """Fit, and say what of the support was taken."""
    if not named:
        _say(f"the newest run with a best checkpoint: {recognizer.trained.path}")
    began = time.monotonic()
    recognizer.fit(support)
    for path, problem in recognizer.problems_.items():
        _say(f"left out of the support: {path}: {problem}")
    counts = [len(paths) for paths in recognizer.support_.values()]
    shots = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    _say(
        f"{len(counts)} classes of {shots} clips, {recognizer.cache_hits_} of {sum(counts)} "
        f"known from before, {time.monotonic() - began:.1f} s"
    )
    if recognizer.threshold_ is not None:
        _say(recognizer.threshold_.told)


def _watch(recognizer: "FewShotRecognizer", folder: Path, *, as_json: bool, as_csv: bool) -> None:
    """Label what arrives until Ctrl-C or SIGTERM."""
    from tasd.predict.arrivals import arrivals
    from tasd.training.signals import StopSignals

    lines = _lines(recognizer, as_json=as_json, as_csv=as_csv)
    _say(f"watching {folder}; Ctrl-C ends it")
    with StopSignals() as stop:
        for clips in arrivals(folder, stop=lambda: bool(stop.exit_code)):
            for _ in _told(recognizer.answers(clips), lines):
                if stop.exit_code:
                    return


def _lines(recognizer: "FewShotRecognizer", *, as_json: bool, as_csv: bool) -> "Lines":
    from tasd.predict.formats import CsvLines, json_line, plain_line

    if as_csv:
        return CsvLines(recognizer.classes_)
    return json_line if as_json else plain_line


def _told(answers: "Iterable[Answer]", lines: "Lines") -> "Iterator[Answer]":
    """Each answer is written as soon as it is known."""
    for answer in answers:
        typer.echo(lines(answer), nl=False)
        yield answer


def _print(
    recognizer: "FewShotRecognizer",
    found: "Sequence[Answer]",
    *,
    seconds: float,
    as_json: bool,
    as_csv: bool,
) -> None:
    from tasd.predict.formats import as_document, stretch_lines, table

    if as_json:
        typer.echo(json.dumps(as_document(recognizer, found, seconds=seconds), indent=1))
    elif not as_csv:
        through_windows = any(answer.span is not None for answer in found)
        lines = stretch_lines(found) if through_windows else table(recognizer.classes_, found)
        typer.echo("\n".join(lines))


def _shown(answers: "Iterator[Answer]", clips: list[Path]) -> "Iterator[Answer]":
    """Progress counts clips; of several windows of one the first counts."""
    from tasd.progress import track

    seen: set[Path] = set()

    def new(answer: "Answer") -> int:
        fresh = answer.video not in seen
        seen.add(answer.video)
        return int(fresh)

    return track(answers, total=len(clips), what="labels", unit="clips", count=new)


def _say(text: str) -> None:
    typer.echo(text, err=True)
