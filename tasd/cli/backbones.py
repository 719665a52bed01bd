"""``tasd backbones``: the backbones, their sizes, and the weights that are at hand."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tasd.cli.say import say, say_json

if TYPE_CHECKING:
    from tasd.backbones import Backbone

MOST = 50  # models of timm that one call describes


@dataclass(frozen=True)
class Row:
    """A line of the table.

    weights: names of the published weights. at_hand: those of them that are on this machine.
    """

    name: str
    parameters: int
    channels: int
    size: int
    weights: tuple[str, ...]
    at_hand: tuple[str, ...]


def backbones(
    pattern: Annotated[
        str | None,
        typer.Argument(help="Names with * and ?: 'resnet*', or models of timm: 'timm/*dinov2*'."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the backbones, their sizes, and the weights that are here.

    Nothing is downloaded.
    """
    from tasd.errors import UserError

    names = _names(pattern)
    rows, left_out = [], []
    for name in names[:MOST]:
        try:
            rows.append(_row(name))
        except UserError as error:  # a model of timm that is no backbone
            left_out.append(str(error))
    if as_json:
        say_json([asdict(row) for row in rows], indent=2)
        return
    for line in _table(rows):
        say(line)
    for reason in left_out:
        say(f"left out: {reason}")
    if len(names) > MOST:
        say(f"the first {MOST} of {len(names)}; a narrower pattern shows others")
    if pattern is None:
        say(_about_timm())


def _names(pattern: str | None) -> list[str]:
    """Return the names that fit. Raises `UserError` where there are none."""
    import fnmatch

    from tasd.backbones import BACKBONES
    from tasd.backbones.timm_models import PREFIX, library
    from tasd.errors import UserError

    if pattern is None:
        return list(BACKBONES)
    if pattern.startswith(PREFIX):
        wanted = pattern.removeprefix(PREFIX)
        found = [PREFIX + name for name in library().list_models(wanted, include_tags=True)]
    else:
        found = fnmatch.filter(BACKBONES, pattern)
    if not found:
        raise UserError(
            f"no backbone fits {pattern!r}; tasd backbones lists our own, tasd backbones "
            "'timm/*WORD*' those of timm"
        )
    return found


def _row(name: str) -> Row:
    from tasd.backbones import described
    from tasd.backbones.weights import at_hand

    backbone = described(name)
    return Row(
        name=name,
        parameters=_parameters(backbone),
        channels=backbone.channels,
        size=backbone.size,
        weights=tuple(backbone.pretrained),
        at_hand=tuple(source for source in backbone.pretrained if at_hand(backbone, source)),
    )


def _parameters(backbone: "Backbone") -> int:
    return sum(parameter.numel() for parameter in backbone.parameters())


def _table(rows: list[Row]) -> list[str]:
    width = max([len(row.name) for row in rows] + [len("backbone")])
    head = f"{'backbone':<{width}}  parameters  channels  pixels  weights"
    return [head] + [
        f"{row.name:<{width}}  {row.parameters / 1e6:>8.1f} M  {row.channels:>8,}  {row.size:>6}  "
        f"{_weights(row)}"
        for row in rows
    ]


def _weights(row: Row) -> str:
    if not row.weights:
        return "none published"
    return ", ".join(
        f"{name}{', at hand' if name in row.at_hand else ', to be downloaded'}"
        for name in row.weights
    )


def _about_timm() -> str:
    from tasd.backbones.timm_models import library
    from tasd.errors import UserError

    try:
        timm = library()
    except UserError:
        return "timm/NAME: any image model of timm, after pip install 'tasd[timm]'"
    return (
        f"timm/NAME: {len(timm.list_pretrained())} sets of weights of timm {timm.__version__}; "
        "tasd backbones 'timm/*dinov2*' lists some"
    )
