"""``tasd evaluate``: accuracy on classes that were not trained on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.options import (
    CheckpointOption,
    DeviceOption,
    HalfOption,
    NetworkOption,
    PrecisionOption,
    RunOption,
    StoreOption,
    candidate_of_run,
    device_called,
    extraction,
    run_called,
)

if TYPE_CHECKING:
    from tasd.evaluation.candidates import Candidate
    from tasd.evaluation.episodes import EpisodeRequest
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
    split: Annotated[str, typer.Option(help="Split of the classes: test or val.")] = "test",
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Compare two runs on the same episodes: second minus first."),
    ] = None,
    features: Annotated[Path | None, typer.Option(help="A feature file in place of a run.")] = None,
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
    video are computed once.
    """
    from dataclasses import replace

    from tasd.cli.options import seeds_of
    from tasd.config import EpisodeOptions
    from tasd.evaluation.candidates import of_features
    from tasd.evaluation.episodes import EpisodeRequest

    if episodes_file is not None:
        ignored = {
            "--episodes": episodes != 10_000,
            "--way": way,
            "--shot": shot,
            "--queries": queries != 1,
            "--seeds": seeds != "0",
            "--distinct-groups": distinct_groups,
        }
        _refuse_without_effect(
            [name for name, value in ignored.items() if value], "--episodes-file"
        )
    device = device_called(device)
    how = extraction(network, split, matcher, precision, half, device)
    how = replace(how, allow_overlap=allow_overlap)
    _refuse_contradictions(
        how, run=run, compare=compare, features=features, store=store, checkpoint=checkpoint
    )
    runs = [] if features else [run_called(path) for path in compare or (run,)]
    # Two runs are compared on the episodes of the first.
    trained = runs[0].config().episode if runs else EpisodeOptions()
    request = EpisodeRequest(
        way=way or trained.way,
        shot=shot or trained.shot,
        queries=queries,
        count=episodes,
        distinct_groups=distinct_groups,
        file=episodes_file,
    )
    candidates = [
        candidate_of_run(one, how, store=store, checkpoint=checkpoint, request=request)
        for one in runs
    ]
    if features is not None:
        candidates = [of_features(features, matcher=how.matcher or "bimhm", split=how.split)]
    each = (0,) if episodes_file else seeds_of(seeds)
    every = [_evaluated(candidates, request, seed, allow_overlap, batch, device) for seed in each]
    if save_episodes is not None:
        _save_episodes(save_episodes, every)
    _write_and_print(every, out, as_json=as_json)


def _refuse_without_effect(options: list[str], beside: str) -> None:
    """Raise `UserError` for options that have no effect with the option ``beside``."""
    from tasd.errors import UserError

    if options:
        raise UserError(f"{options[0]} has no effect with {beside}; leave it out")


def _refuse_contradictions(
    how: "Extraction",
    *,
    run: Path | None,
    compare: tuple[Path, Path] | None,
    features: Path | None,
    store: Path | None,
    checkpoint: Path | None,
) -> None:
    """Raise `UserError` for options that exclude one another or have no effect together."""
    from tasd.errors import UserError

    if sum(given is not None for given in (run, compare, features)) > 1:
        raise UserError("--run, --compare and --features exclude one another; give one of them")
    if compare is not None and checkpoint is not None:
        raise UserError("--checkpoint belongs to one run; give it with --run, not with --compare")
    if features is not None:
        of_runs = {
            "--network": how.networks,
            "--store": store,
            "--checkpoint": checkpoint,
            "--precision": how.precision,
            "--half": how.half,
        }
        _refuse_without_effect([name for name, value in of_runs.items() if value], "--features")


def _evaluated(
    candidates: "list[Candidate]",
    request: "EpisodeRequest",
    seed: int,
    allow_overlap: bool,
    batch: int | None,
    device: str,
) -> "list[Evaluated]":
    from tasd.evaluation.evaluate import evaluate

    return [
        evaluate(
            candidate, request, seed=seed, allow_overlap=allow_overlap, batch=batch, device=device
        )
        for candidate in candidates
    ]


def _save_episodes(path: Path, every: "list[list[Evaluated]]") -> None:
    """Write one file for each seed; with several seeds, names end with the seed."""
    from tasd.episodes.files import save_episodes

    for results in every:
        episodes = results[0].episodes
        name = f"{path.stem}-seed{episodes.seed}{path.suffix}" if len(every) > 1 else path.name
        save_episodes(path.with_name(name), episodes)


def _write_and_print(every: "list[list[Evaluated]]", out: Path | None, *, as_json: bool) -> None:
    """Write and print each result, then the means over seeds."""
    from tasd.evaluation.evaluate import comparison
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
            typer.echo("\n".join(lines))
        path = _result_path(results, out, len(every))
        if path is not None:
            write_document(path, content)
        if not as_json:
            typer.echo("" if path is None else f"result: {path}\n")
    if as_json:
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents))
    elif len(every) > 1:
        typer.echo("\n".join(over_seeds(every)))


def _result_path(results: "list[Evaluated]", out: Path | None, count: int) -> Path | None:
    """Return ``out``, or a path in the run's evaluation folder; None for a feature file."""
    last = results[-1]
    if out is not None:
        seed = last.episodes.seed
        return out.with_name(f"{out.stem}-seed{seed}{out.suffix}") if count > 1 else out
    if "run" not in last.candidate.origin:
        return None
    against = f"-against-{results[0].candidate.name}" if len(results) == 2 else ""
    folder = Path(last.candidate.origin["run"]) / "evaluation"
    return folder / f"{last.name}{against}.json"
