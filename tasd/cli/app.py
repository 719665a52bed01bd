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
from tasd.cli.parsing import Command, loading
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


LABELS = ("tasd.predict.choice", "tasd.predict.labeller")

app.command(cls=Command)(prep)
app.add_typer(splits)
app.command(cls=Command)(train)
app.command(cls=loading("tasd.evaluation.evaluate", "tasd.extraction.run"))(evaluate)
app.command(cls=loading("tasd.extraction.run"))(features)
app.command(cls=loading("tasd.report"))(report)
app.command(cls=loading(*LABELS))(predict)
app.command("app", cls=loading(*LABELS))(serve)
app.command(cls=loading("tasd.predict.export"))(export)
app.command(cls=Command)(reproduce)
app.add_typer(bench)
app.command(cls=Command)(doctor)
app.command(cls=Command)(check)
app.command(cls=Command)(show)
app.command(cls=Command)(matchers)
app.command(cls=Command)(backbones)
app.command(cls=Command)(demo)
