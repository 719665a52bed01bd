"""``tasd show``: what a store or a run holds."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasd.runs.folder import Run


def show(
    what: Annotated[Path, typer.Argument(help="A store or a run.", metavar="STORE|RUN")],
    video: Annotated[
        str | None, typer.Option(help="Draw this video of the store: class/name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to draw it (PNG).")] = None,
) -> None:
    """Show what a store or a run holds, or draw a video of it."""
    if (what / "config.json").exists() and video is None:
        from tasd.runs.folder import Run

        show_run(Run(what))
    else:
        from prep.show import show_store

        show_store(what, video=video, out=out)


def show_run(run: "Run") -> None:
    """Print a run's settings, validation curve, checkpoints and results. Raises `UserError`."""
    config = run.config()
    episode, network = config.episode, config.network
    typer.echo(
        f"{run.path}: recipe {config.recipe} on {config.dataset}, {episode.way}-way "
        f"{episode.shot}-shot, {episode.queries} queries per class"
    )
    typer.echo(
        f"{network.backbone}, weights {network.weights}, matcher {config.matcher.name}, "
        f"distillation {config.distill.weights or 'off'}, seed {config.training.seed}"
    )
    lines = run.read_metrics()
    done = max((line["episode"] for line in lines), default=0)
    typer.echo(f"{done:,} of {config.training.episodes:,} episodes done")
    for line in lines:
        if line["kind"] == "validation":
            told = (f"{n} {line[n]['accuracy']:.1%}" for n in ("student", "teacher") if n in line)
            typer.echo(f"  validation after {line['episode']:>6,}: {', '.join(told)}")
    for path in sorted(run.checkpoints.glob("*.pt")):
        typer.echo(f"  {path.relative_to(run.path)}  {path.stat().st_size / 2**20:.0f} MiB")
    for path in sorted(run.evaluation.glob("*.json")):
        typer.echo(f"  {path.relative_to(run.path)}  {_accuracies(path.read_text())}")


def _accuracies(text: str) -> str:
    networks = json.loads(text).get("networks", {})
    return ", ".join(f"{name} {said['accuracy']:.2%}" for name, said in networks.items())
