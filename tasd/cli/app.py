"""All commands of tasd. A command imports its work when it is called: ``--help`` loads no torch."""

from typing import Annotated

import typer

from tasd import __version__
from tasd.cli.backbones import backbones
from tasd.cli.bench import app as bench
from tasd.cli.check import check
from tasd.cli.demo import demo
from tasd.cli.doctor import doctor
from tasd.cli.evaluate import evaluate
from tasd.cli.export import export
from tasd.cli.features import features
from tasd.cli.matchers import matchers
from tasd.cli.predict import predict
from tasd.cli.prep import prep
from tasd.cli.report import report
from tasd.cli.reproduce import reproduce
from tasd.cli.serve import serve
from tasd.cli.show import show
from tasd.cli.splits import app as splits
from tasd.cli.train import train

app = typer.Typer(
    name="tasd",
    help="Few-shot action recognition by task-agnostic self-distillation (IJCAI 2024).\n\n"
    "Three commands from videos to accuracy: tasd prep, tasd train, tasd evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(given: bool | None) -> None:
    if given:
        typer.echo(f"tasd {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = None,
) -> None:
    """Options of tasd before any command."""


app.command()(prep)
app.add_typer(splits)
app.command()(train)
app.command()(evaluate)
app.command()(features)
app.command()(report)
app.command()(predict)
app.command("app")(serve)
app.command()(export)
app.command()(reproduce)
app.add_typer(bench)
app.command()(doctor)
app.command()(check)
app.command()(show)
app.command()(matchers)
app.command()(backbones)
app.command()(demo)
