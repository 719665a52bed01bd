"""``tasd show``: the contents of a store or a run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.say import say

if TYPE_CHECKING:
    from tasd.runs.folder import Run


def show(
    what: Annotated[Path, typer.Argument(help="A store or a run.", metavar="STORE|RUN")],
    video: Annotated[
        str | None, typer.Option(help="Draw the frames of this video of the store: class/name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File of the drawing (PNG).")] = None,
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
    say(
        f"{run.path}: recipe {config.recipe} on {config.dataset}, {episode.way}-way "
        f"{episode.shot}-shot, {episode.queries} queries per class"
    )
    say(
        f"{network.backbone}, weights {network.weights}, matcher {config.matcher.name}, "
        f"distillation {config.distill.weights or 'off'}, seed {config.training.seed}"
    )
    lines = run.read_metrics()
    done = max((line["episode"] for line in lines), default=0)
    say(f"{done:,} of {config.training.episodes:,} episodes done")
    for line in lines:
        if line["kind"] == "validation":
            networks = {name: line[name] for name in ("student", "teacher") if name in line}
            accuracies = ", ".join(f"{n} {_accuracy(r):.1%}" for n, r in networks.items())
            way = f"{line['way']}-way " if "way" in line else ""
            say(f"  {way}validation after {line['episode']:>6,}: {accuracies}")
    for path in sorted(run.checkpoints.glob("*.pt")):
        say(f"  {path.relative_to(run.path)}  {path.stat().st_size / 2**20:.0f} MiB")
    for path in sorted(run.evaluation.glob("*.json")):
        say(f"  {path.relative_to(run.path)}  {_accuracies(path)}")


def _accuracies(path: Path) -> str:
    """Return the accuracies of a result or a comparison; the reason where it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        networks = content.get("networks", {})
        return ", ".join(f"{name} {result['accuracy']:.2%}" for name, result in networks.items())
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return "cannot be read: damaged"


def _accuracy(value: float | dict[str, float]) -> float:
    return value["accuracy"] if isinstance(value, dict) else value
