"""``tasd show``: the contents of a store or a run, and how two runs differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.say import say, waiting

if TYPE_CHECKING:
    from tasd.runs.folder import Run


def show(
    what: Annotated[
        list[Path], typer.Argument(help="A store or a run; or two runs.", metavar="STORE|RUN [RUN]")
    ],
    video: Annotated[
        str | None, typer.Option(help="Draw the frames of this video of the store: class/name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File of the drawing (PNG).")] = None,
) -> None:
    """Show a store or a run (also in training), or compare two."""
    from tasd.errors import UserError

    if len(what) > 2 or (len(what) == 2 and (video is not None or out is not None)):
        raise UserError(
            "tasd show takes a store, a run, or two runs to compare; give one or two, and --video "
            "and --out with a store alone"
        )
    if len(what) == 2:
        with waiting("loading torch"):
            from tasd.evaluation.differences import differences
            from tasd.runs.folder import Run

        say("\n".join(differences(Run(what[0]), Run(what[1]))))
    elif (what[0] / "config.json").exists() and video is None:
        with waiting("loading torch"):
            from tasd.runs.folder import Run

        show_run(Run(what[0]))
    else:
        from prep.show import show_store

        show_store(what[0], video=video, out=out)


def show_run(run: "Run") -> None:
    """Print a run's state, settings, validation curve, checkpoints and results.

    Nothing is written and no lock taken. Raises `UserError`.
    """
    from tasd.evaluation.differences import accuracies
    from tasd.progress import counted
    from tasd.runs.progress import state_of

    config = run.config()
    episode, network = config.episode, config.network
    weights = ", ".join(f"{name} {value:g}" for name, value in config.distill.weights.items())
    say(
        f"{run.path}: recipe {config.recipe} on {config.dataset}, {episode.way}-way "
        f"{episode.shot}-shot, {counted(episode.queries, 'query')} per class"
    )
    say(
        f"{network.backbone}, weights {network.weights}, matcher {config.matcher.name}, "
        f"distillation {weights or 'off'}, seed {config.training.seed}"
    )
    lines = run.read_metrics()
    for text in state_of(run, lines, episodes=config.training.episodes):
        say(text)
    for line in lines:
        if line["kind"] == "validation":
            networks = {n: line[n] for n in ("student", "teacher", "plain") if n in line}
            shown = ", ".join(f"{n} {_accuracy(r):.1%}" for n, r in networks.items())
            way = f"{line['way']}-way " if "way" in line else ""
            say(f"  {way}validation after {line['episode']:>6,}: {shown}")
    for path in sorted(run.checkpoints.glob("*.pt")):
        say(f"  {path.relative_to(run.path)}  {path.stat().st_size / 2**20:.0f} MiB")
    for path in sorted(run.evaluation.glob("*.json")):
        say(f"  {path.relative_to(run.path)}  {accuracies(path)}")


def _accuracy(value: float | dict[str, float]) -> float:
    return value["accuracy"] if isinstance(value, dict) else value
