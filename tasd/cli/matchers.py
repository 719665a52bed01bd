"""``tasd matchers``: the matchers, which compare videos."""

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping


def matchers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the matchers: papers, published accuracies, recipes."""
    from tasd.matchers import MATCHERS
    from tasd.recipes import of_matcher

    if as_json:
        document = {
            name: {
                "paper": matcher.PUBLISHED.paper,
                "published": matcher.PUBLISHED.accuracy,
                "other_protocol": matcher.PUBLISHED.other_protocol,
                "note": matcher.PUBLISHED.note,
                "recipe": of_matcher(name),
                "reads_maps": matcher.needs_maps,
                "reads_stages": matcher.levels,
            }
            for name, matcher in MATCHERS.items()
        }
        typer.echo(json.dumps(document, indent=2))
        return
    width = max(map(len, MATCHERS))
    for name, matcher in MATCHERS.items():
        published = matcher.PUBLISHED
        indent = " " * width
        typer.echo(f"{name:<{width}} {published.paper}")
        scores = _scores(published.accuracy) or "none published"
        typer.echo(f"{indent} 5-way 1-shot / 5-shot: {scores}")
        if published.other_protocol:
            typer.echo(f"{indent} of another protocol: {_scores(published.other_protocol)}")
        if published.note:
            lead = f"{indent} "
            typer.echo(
                textwrap.fill(
                    f"note: {published.note}", 100, initial_indent=lead, subsequent_indent=lead
                )
            )
        typer.echo(f"{indent} tasd train --recipe {of_matcher(name)}")
    typer.echo(
        "for the distillation of this paper add --set distill=tasd; the recipe tasd has it on"
    )


def _scores(accuracy: "Mapping[str, tuple[float, float]]") -> str:
    return ", ".join(f"{data} {one} / {five}" for data, (one, five) in accuracy.items())
