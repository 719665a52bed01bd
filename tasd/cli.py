"""The commands. Each one's work is imported when it is called: ``--help`` loads no torch."""

import json
from typing import Annotated

import typer

from prep.cli import prep
from tasd import __version__
from tasd.evaluate_cli import evaluate, features
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


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tasd {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    """Options of tasd itself."""


app.command()(prep)
app.add_typer(splits)
app.command()(train)
app.command()(evaluate)
app.command()(features)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Tell what is installed, which GPU and decoder there are, which stores and runs."""
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
