"""The commands. Each one's work is imported when it is called: ``--help`` loads no torch."""

import json
from pathlib import Path
from typing import Annotated

import typer

from prep.cli import prep
from tasd import __version__
from tasd.bench.cli import app as bench
from tasd.evaluate_cli import evaluate
from tasd.export_cli import export
from tasd.features_cli import features
from tasd.predict_cli import predict
from tasd.report_cli import report
from tasd.reproduce.cli import reproduce
from tasd.splits_cli import app as splits
from tasd.train_cli import train

app = typer.Typer(
    name="tasd",
    help="Few-shot action recognition by task-agnostic self-distillation (IJCAI 2024).\n\n"
    "Three commands from videos to accuracy: tasd prep, tasd train, tasd evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"tasd {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Say which version this is."
        ),
    ] = None,
) -> None:
    """Options of tasd itself."""


app.command()(prep)
app.add_typer(splits)
app.command()(train)
app.command()(evaluate)
app.command()(features)
app.command()(report)
app.command()(predict)
app.command()(export)
app.command()(reproduce)
app.add_typer(bench)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Tell what is installed, which GPU, which stores and runs."""
    from dataclasses import asdict

    from tasd.doctor import examine, healthy

    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[finding.verdict]
            typer.echo(f"{mark}  {finding.what:<12} {finding.detail}")
    raise typer.Exit(0 if healthy(findings) else 1)


@app.command()
def check(
    store: Annotated[Path, typer.Argument(help="The store to check.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every frame as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Verify a store, and name the shard and video of any fault."""
    from prep.check import check_command

    check_command(store, deep=deep, as_json=as_json)


@app.command()
def show(
    what: Annotated[Path, typer.Argument(help="A store or a run.", metavar="STORE|RUN")],
    video: Annotated[
        str | None, typer.Option(help="Draw this video of the store: class/name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to draw it (PNG).")] = None,
) -> None:
    """Show what a store or a run holds, or draw a video of it."""
    if (what / "config.json").exists() and video is None:
        from tasd.run import Run
        from tasd.show_run import show_run

        show_run(Run(what))
    else:
        from prep.show import show_store

        show_store(what, video=video, out=out)


@app.command()
def matchers(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List the matchers: papers, published accuracies, recipes."""
    from tasd.matchers import MATCHERS
    from tasd.recipes import of_matcher

    if as_json:
        told = {
            name: {
                "paper": matcher.PUBLISHED.paper,
                "published": matcher.PUBLISHED.accuracy,
                "recipe": of_matcher(name),
                "reads_maps": matcher.needs_maps,
            }
            for name, matcher in MATCHERS.items()
        }
        typer.echo(json.dumps(told, indent=2))
        return
    for name, matcher in MATCHERS.items():
        scores = ", ".join(
            f"{data} {one} / {five}" for data, (one, five) in matcher.PUBLISHED.accuracy.items()
        )
        typer.echo(f"{name:<10} {matcher.PUBLISHED.paper}")
        typer.echo(f"{'':<10} 5-way 1-shot / 5-shot: {scores or 'none published'}")
        typer.echo(f"{'':<10} tasd train --recipe {of_matcher(name)}")
    typer.echo("with the distillation of this paper: --set distill=tasd; the recipe tasd has it")


@app.command()
def demo(
    quick: Annotated[bool, typer.Option("--quick", help="About a minute, weaker result.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of clips and training.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Show the whole way on generated clips; no data needed."""
    from rich.console import Console

    from tasd.demo.run import demo as run_demo

    run_demo(out, quick=quick, seed=seed, device=device, console=Console())
