"""``tasd evaluate``: accuracy on classes that were not trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.checks import check_backbone, check_store
from tasd.cli.options import (
    CheckpointOption,
    CropOption,
    DeviceOption,
    FramesOption,
    HalfOption,
    NetworkOption,
    PrecisionOption,
    PretrainedOverlapOption,
    RunOption,
    StoreOption,
    WeightsOption,
    backbone_options,
    candidate_of_backbone,
    candidate_of_run,
    device_called,
    extraction,
    pooling,
    refuse,
    run_called,
)
from tasd.cli.say import say, say_json
from tasd.errors import Mistakes

if TYPE_CHECKING:
    from tasd.evaluation.evaluate import Evaluated
    from tasd.extraction.run import Extraction


def evaluate(
    run: RunOption = None,
    episodes: Annotated[int, typer.Option(min=2, help="Number of episodes.")] = 10_000,
    way: Annotated[
        int | None, typer.Option(help="Classes of an episode; default: as in training, or 5.")
    ] = None,
    shot: Annotated[
        int | None, typer.Option(help="Support videos of each class; default: as in training.")
    ] = None,
    queries: Annotated[int, typer.Option(help="Query videos of each class.")] = 1,
    seeds: Annotated[
        str, typer.Option("--seeds", "--seed", help="Seeds of the episodes: 0, or 0,3,7, or 0-4.")
    ] = "0",
    network: NetworkOption = "both",
    split: Annotated[
        str, typer.Option(help="Split of the classes: test, val or train, or all of them.")
    ] = "test",
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Compare two runs on the same episodes: second minus first."),
    ] = None,
    features: Annotated[Path | None, typer.Option(help="A feature file in place of a run.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="A pretrained backbone, not trained any further.")
    ] = None,
    weights: WeightsOption = None,
    frames: FramesOption = None,
    crop: CropOption = None,
    allow_pretrained_overlap: PretrainedOverlapOption = False,
    no_floor: Annotated[
        bool,
        typer.Option(
            "--no-floor", help="Leave out the starts of a run: untrained network, plain backbone."
        ),
    ] = False,
    matcher: Annotated[
        str | None,
        typer.Option(
            help="Another matcher that needs no training: bimhm, otam, chamfer or prototype."
        ),
    ] = None,
    store: StoreOption = None,
    checkpoint: CheckpointOption = None,
    distinct_groups: Annotated[
        bool,
        typer.Option(
            "--distinct-groups", help="Take support and query from different source videos."
        ),
    ] = False,
    save_episodes: Annotated[
        Path | None, typer.Option(help="Write the episodes to this file, with names of videos.")
    ] = None,
    episodes_file: Annotated[
        Path | None, typer.Option(help="Take the episodes from this file.")
    ] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-overlap", help="Accept classes that were trained on; marks the result."
        ),
    ] = False,
    precision: PrecisionOption = None,
    half: HalfOption = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Episodes scored at a time.")] = None,
    device: DeviceOption = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Result file; default: in the run's evaluation folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure the accuracy on classes that were never trained on.

    Without options `tasd evaluate` takes the newest run and scores its student and its teacher
    on 10,000 episodes of the test classes, each with one query per class. The features of each
    video are computed once. Beside them stands the plain backbone that the run began from, where
    that was pretrained. With --backbone nothing needs to be trained.
    """
    from dataclasses import replace
    from functools import partial

    from tasd.cli.options import seeds_of
    from tasd.config import EpisodeOptions
    from tasd.evaluation.candidates import of_features
    from tasd.evaluation.episodes import EpisodeRequest, check_shape
    from tasd.evaluation.evaluate import evaluate as score_candidate
    from tasd.extraction.run import Extraction
    from tasd.runs import tracking

    ignored = {
        "episodes": episodes != 10_000,
        "way": way,
        "shot": shot,
        "queries": queries != 1,
        "seeds": seeds != "0",
        "distinct_groups": distinct_groups,
    }
    given = backbone_options(weights, frames, crop, allow_pretrained_overlap)
    sources = {"run": run, "compare": compare, "features": features, "backbone": backbone}
    untrained = features is not None or backbone is not None
    with Mistakes() as mistakes:
        if episodes_file is not None:
            mistakes.of(refuse, _said(ignored), "has no effect with --episodes-file")
        device = mistakes.of(device_called, device) or "cpu"
        found = mistakes.of(extraction, network, split, matcher, precision, half, device)
        how = replace(found or Extraction(), allow_overlap=allow_overlap)
        each = (0,) if episodes_file else mistakes.of(seeds_of, seeds) or ()
        mistakes.of(_refuse_contradictions, how, sources, given, store=store, checkpoint=checkpoint)
        if no_floor and run is None:  # there is a floor of one run alone
            for name in _said(sources):
                mistakes.of(refuse, ["no_floor"], f"has no effect with --{name}")
        called = [] if untrained else [mistakes.of(run_called, path) for path in compare or (run,)]
        runs = [one for one in called if one is not None]
        # Two runs are compared on the episodes of the first.
        trained = runs[0].config().episode if runs else EpisodeOptions()
        request = EpisodeRequest(
            way=trained.way if way is None else way,
            shot=trained.shot if shot is None else shot,
            queries=queries,
            count=episodes,
            distinct_groups=distinct_groups,
            file=episodes_file,
        )
        mistakes.of(check_shape, request)
        if backbone is not None:
            mistakes.of(check_backbone, backbone, weights, None)
            if found is not None:
                mistakes.of(check_store, store, split, request)
    candidates = [
        candidate_of_run(
            one,
            how,
            store=store,
            checkpoint=checkpoint,
            request=request,
            floor=not (no_floor or compare),
        )
        for one in runs
    ]
    compared = how.matcher or "bimhm"
    if features is not None:
        candidates = [of_features(features, matcher=compared, split=how.split)]
    elif backbone is not None:
        plain = pooling(backbone, given, how)
        candidates = [
            candidate_of_backbone(
                plain, split=how.split, matcher=compared, store=store, request=request
            )
        ]
    score = partial(
        score_candidate, request=request, allow_overlap=allow_overlap, batch=batch, device=device
    )
    every = [[score(candidate, seed=seed) for candidate in candidates] for seed in each]
    if save_episodes is not None:
        _save_episodes(save_episodes, every)
    _write_and_print(every, out, as_json=as_json)
    if any((run.path / tracking.FILE).exists() for run in runs):
        # Figures are drawn, which takes matplotlib a third of a second to import.
        from tasd.report.tracked import track_results

        track_results(every, say=lambda line: say(line, err=True))


def _refuse_contradictions(
    how: "Extraction",
    sources: Mapping[str, object],
    given: Mapping[str, object],
    *,
    store: Path | None,
    checkpoint: Path | None,
) -> None:
    """Raise `UserError` for options that exclude one another or have no effect together.

    sources: the options that say what is evaluated. given: the options for --backbone.
    """
    from tasd.errors import UserError

    said = [name for name, value in sources.items() if value is not None]
    if len(said) > 1:
        raise UserError(
            "--run, --compare, --features and --backbone exclude one another; give one of them"
        )
    if sources["compare"] is not None and checkpoint is not None:
        raise UserError("--checkpoint belongs to one run; give it with --run, not with --compare")
    if sources["backbone"] is None:
        refuse(given, "is an option for --backbone")
    of_runs = {"network": how.networks, "checkpoint": checkpoint}
    if sources["features"] is not None:
        of_frames = {"store": store, "precision": how.precision, "half": how.half}
        refuse(_said({**of_runs, **of_frames}), "has no effect with --features")
    if sources["backbone"] is not None:
        refuse(_said(of_runs), "is an option for runs, not for --backbone")


def _said(options: Mapping[str, object]) -> list[str]:
    return [name for name, value in options.items() if value]


def _save_episodes(path: Path, every: "list[list[Evaluated]]") -> None:
    """Write one file for each seed; with several seeds, names end with the seed."""
    from tasd.episodes.files import save_episodes

    for results in every:
        episodes = results[0].episodes
        name = f"{path.stem}-seed{episodes.seed}{path.suffix}" if len(every) > 1 else path.name
        save_episodes(path.with_name(name), episodes)


def _write_and_print(every: "list[list[Evaluated]]", out: Path | None, *, as_json: bool) -> None:
    """Write and print each result, then the means over seeds."""
    from tasd.evaluation.evaluate import comparison, result_path
    from tasd.evaluation.results import write_document
    from tasd.evaluation.terminal import compared, over_seeds, table

    documents = []
    for results in every:
        pair = len(results) == 2
        content = comparison(*results) if pair else results[0].content
        documents.append(content)
        if not as_json:
            lines = [line for result in results for line in table(result)]
            lines += compared(*results) if pair else []
            say("\n".join(lines))
        path = result_path(results, out, seeds=len(every))
        if path is not None:
            write_document(path, content)
        if not as_json:
            say("" if path is None else f"result: {path}\n")
    if as_json:
        say_json(documents[0] if len(documents) == 1 else documents)
    elif len(every) > 1:
        say("\n".join(over_seeds(every)))
