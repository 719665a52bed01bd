"""``tasd predict``: labels for a person's own clips, from a few examples of each class."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.options import (
    BackboneOption,
    BareMatcherOption,
    ChoiceOption,
    DeviceOption,
    RunStoreOption,
    WeightsOption,
)
from tasd.cli.say import say, say_json, waiting
from tasd.errors import Mistakes
from tasd.foreign import remark

if TYPE_CHECKING:
    from tasd.predict.answer import Answer
    from tasd.predict.formats import AnswerFormat
    from tasd.predict.labeller import Labeller
    from tasd.predict.windows import Windows


def predict(
    support: Annotated[
        Path,
        typer.Option(help="Folder <class>/<clips>: a few clips of each class; or a support file."),
    ],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO...", help="Clips to label, or folders of clips."),
    ] = None,
    run: ChoiceOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    matcher: BareMatcherOption = None,
    learn: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Make the clips examples of this class, and label nothing."
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLIP_OR_CLASS", help="Take an example or a class out of the support; repeat."
        ),
    ] = None,
    suggest: Annotated[
        int | None,
        typer.Option(metavar="N", help="Print the N clips whose label would help most."),
    ] = None,
    save_support: Annotated[
        Path | None,
        typer.Option(help="Write the support with its features into one file (.safetensors)."),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Answer 'none of these' where no class fits.")
    ] = False,
    watch: Annotated[
        Path | None, typer.Option(help="Label the clips that arrive in this folder, until Ctrl-C.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Label long videos in windows of this many seconds.")
    ] = None,
    stride: Annotated[
        float | None, typer.Option(help="Seconds from window to window; default: half of --window.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="With --window: draw the labels over time (PNG).")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, for scripts; with --watch one line for each clip."
        ),
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, one line for each clip.")
    ] = False,
    store: RunStoreOption = None,
    cache: Annotated[
        bool,
        typer.Option(help="Keep the features of support clips: in the run, or in $TASD_HOME."),
    ] = True,
    device: DeviceOption = "auto",
) -> None:
    """Label clips by a few examples of each class.

    Nothing is trained. The classes are your own: a folder of one clip or more for each. A trained
    run compares the clips, or a pretrained backbone without any run. A clip that cannot be read is
    reported, and the others are labelled. The exit code is 1 where no clip could be read.
    """
    from tasd.cli.predict_support import check_change, forget_all, learn_class
    from tasd.device import pick_device
    from tasd.predict.answer import smallest_margins
    from tasd.predict.arrivals import find_clips
    from tasd.predict.choice import choose
    from tasd.predict.export import is_export
    from tasd.predict.labeller import Labeller
    from tasd.predict.reading import check_support
    from tasd.predict.trained import on_device
    from tasd.predict.untrained import check_options
    from tasd.runs.folder import Run

    others = {"--watch": watch, "--window": window, "--reject": reject, "--suggest": suggest}
    others |= {"--save-support": save_support, "--json": as_json, "--csv": as_csv}
    with Mistakes() as mistakes:
        where = mistakes.of(pick_device, device)
        windows = mistakes.of(_windows, window, stride, timeline, watch)
        clips = find_clips(videos or [])
        change = mistakes.of(check_change, learn, forget or [], clips, others)
        if change is False:
            alone = save_support is not None or learn is not None or bool(forget)
            mistakes.of(_check, clips, watch, as_json=as_json, as_csv=as_csv, alone=alone)
            mistakes.of(_check_suggest, suggest, window, watch)
            mistakes.of(check_support, support)
        if backbone is not None:
            mistakes.of(check_options, backbone, weights=weights or "imagenet", matcher=matcher)
        if run is not None and backbone is None and not is_export(run):
            mistakes.of(Run(run).config)
    assert where is not None
    chosen = choose(run=run, backbone=backbone, weights=weights, matcher=matcher, store=store)
    if chosen.reason:
        remark(chosen.reason)
    if chosen.network.model.matcher.transductive:
        remark("the matcher was trained transductive; here each clip is scored alone")
    recognizer = Labeller.on_network(
        on_device(chosen.network, where),
        **chosen.parameters(),
        reject=reject,
        store=store,
        device=device,
        cache=cache,
    )
    if learn is not None:
        learn_class(recognizer, support, learn, clips)
    if change:
        if forget:
            forget_all(recognizer, support, forget)
        return
    _fit(recognizer, support)
    if save_support is not None:
        remark(f"support: {recognizer.save_support(save_support)}")
        if not clips and watch is None:
            return
    if watch is not None:
        _watch(recognizer, watch, as_json=as_json, as_csv=as_csv)
        return
    began = time.monotonic()
    answers = _with_progress(recognizer.answers(clips, windows=windows), clips)
    if suggest is not None:
        answers = iter(smallest_margins(answers, suggest))
    if as_csv:
        answers = _printed(answers, _line_format(recognizer, as_json=False, as_csv=True))
    found = list(answers)
    seconds = time.monotonic() - began
    if not as_csv:
        _print(recognizer, found, seconds=seconds, as_json=as_json)
    each = f", {seconds / len(clips):.2f} s each" if len(clips) > 1 else ""
    remark(f"{len(clips)} clip{'s' if each else ''} in {seconds:.1f} s{each}")
    if not any(answer.scores for answer in found):
        raise typer.Exit(1)
    if timeline is not None:
        from tasd.predict.timeline import draw_timeline

        remark(f"timeline: {draw_timeline(recognizer.classes_.tolist(), found, timeline)}")


def _windows(
    window: float | None, stride: float | None, timeline: Path | None, watch: Path | None
) -> "Windows | None":
    """Windows of --window and --stride; None without --window. Raises `UserError`."""
    from tasd.errors import UserError
    from tasd.predict.windows import Windows

    if window is None:
        for name, value in (("--stride", stride), ("--timeline", timeline)):
            if value is not None:
                raise UserError(f"{name} {value} has no effect without --window; add --window")
        return None
    if watch is not None:
        raise UserError("--watch labels whole clips; leave out --window or --watch")
    return Windows(window, window / 2 if stride is None else stride)


def _check_suggest(suggest: int | None, window: float | None, watch: Path | None) -> None:
    from tasd.errors import UserError

    if suggest is None:
        return
    if suggest < 1:
        raise UserError(f"--suggest {suggest} asks for no clip; give 1 or more")
    if window is not None or watch is not None:
        raise UserError(
            "--suggest compares whole clips that are there; leave out --window and --watch"
        )


def _check(
    clips: list[Path], watch: Path | None, *, as_json: bool, as_csv: bool, alone: bool
) -> None:
    from tasd.errors import UserError

    if as_json and as_csv:
        raise UserError("--json and --csv exclude one another; give one of them")
    if watch is None and not clips and not alone:
        raise UserError("no clip to label; name clips or a folder of clips after the options")
    if watch is not None and clips:
        raise UserError(
            f"--watch {watch} labels only the clips of that folder; leave out {clips[0]}"
        )
    if watch is not None and not watch.is_dir():
        raise UserError(f"--watch {watch} is not a folder; make it first")


def _fit(recognizer: "Labeller", support: Path) -> None:
    """Fit the recogniser and print what it took from the support."""
    from tasd.progress import counted

    began = time.monotonic()
    with waiting("reading the clips of the support"):
        recognizer.fit(support)
    for path, problem in recognizer.problems_.items():
        remark(f"left out of the support: {path}: {problem}")
    counts = [len(paths) for paths in recognizer.support_.values()]
    shots = f"{min(counts)} to " if min(counts) < max(counts) else ""
    remark(
        f"{counted(len(counts), 'class')} of {shots}{counted(max(counts), 'clip')}, features of "
        f"{recognizer.cache_hits_} of {sum(counts)} from the cache, "
        f"{time.monotonic() - began:.1f} s"
    )
    if recognizer.threshold_ is not None:
        remark(recognizer.threshold_.summary)


def _watch(recognizer: "Labeller", folder: Path, *, as_json: bool, as_csv: bool) -> None:
    """Label the clips that arrive until Ctrl-C or SIGTERM."""
    from tasd.predict.arrivals import watch_folder
    from tasd.training.signals import StopSignals

    line_format = _line_format(recognizer, as_json=as_json, as_csv=as_csv)
    remark(f"watching {folder}; Ctrl-C stops")
    with StopSignals() as stop:
        for clips in watch_folder(folder, stop=lambda: bool(stop.exit_code)):
            for _ in _printed(recognizer.answers(clips), line_format):
                if stop.exit_code:
                    return


def _line_format(recognizer: "Labeller", *, as_json: bool, as_csv: bool) -> "AnswerFormat":
    from tasd.predict.formats import CsvLines, json_line, plain_line

    if as_csv:
        return CsvLines(recognizer.classes_.tolist())
    return json_line if as_json else plain_line


def _printed(answers: "Iterable[Answer]", line_format: "AnswerFormat") -> "Iterator[Answer]":
    """Print each answer as soon as it is known, and pass it on."""
    for answer in answers:
        say(line_format(answer).removesuffix("\n"))
        yield answer


def _print(
    recognizer: "Labeller", found: "Sequence[Answer]", *, seconds: float, as_json: bool
) -> None:
    """Print all answers as one JSON document or as a table."""
    from tasd.predict.formats import predictions_document, segment_lines, table_lines

    if as_json:
        document = predictions_document(recognizer, found, seconds=seconds)
        say_json(document, indent=1)
    elif any(answer.span is not None for answer in found):
        say("\n".join(segment_lines(found)))
    else:
        say("\n".join(table_lines(recognizer.classes_.tolist(), found)))


def _with_progress(answers: "Iterator[Answer]", clips: list[Path]) -> "Iterator[Answer]":
    """Show how many clips are done; of the windows of one clip the first counts."""
    from tasd.progress import track

    counted: set[Path] = set()

    def count(answer: "Answer") -> int:
        new = answer.video not in counted
        counted.add(answer.video)
        return int(new)

    return track(answers, total=len(clips), what="labels", unit="clips", count=count)
