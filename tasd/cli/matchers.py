"""``tasd matchers``: the matchers, which compare videos."""

from typing import Annotated

import typer

from tasd.cli.say import say, say_json


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
                "recipe": of_matcher(name),
                "reads_maps": matcher.needs_maps,
            }
            for name, matcher in MATCHERS.items()
        }
        say_json(document, indent=2)
        return
    for name, matcher in MATCHERS.items():
        scores = ", ".join(
            f"{data} {one} / {five}" for data, (one, five) in matcher.PUBLISHED.accuracy.items()
        )
        say(f"{name:<10} {matcher.PUBLISHED.paper}")
        say(f"{'':<10} 5-way 1-shot / 5-shot: {scores or 'none published'}")
        say(f"{'':<10} tasd train --recipe {of_matcher(name)}")
    say("for the distillation of this paper add --set distill=tasd; the recipe tasd has it on")
