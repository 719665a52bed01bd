"""``tasd matchers``: the matchers, which compare videos."""

import textwrap
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tasd.cli.say import say, say_json


def matchers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the matchers: papers, published accuracies, recipes."""
    from tasd.matchers import DESCRIBED

    if as_json:
        document = {name: _described(name) for name in DESCRIBED}
        say_json(document, indent=2)
        return
    width = max(map(len, DESCRIBED))
    for name in DESCRIBED:
        say("\n".join(_lines(name, _described(name), width=width)))
    say("for the distillation of this paper add --set distill=tasd; the recipe tasd has it on")


def _described(name: str) -> dict[str, Any]:
    """Return what is known of a matcher, as plain data."""
    from tasd.matchers import DESCRIBED
    from tasd.recipes import of_matcher

    found = DESCRIBED[name]
    return {
        "paper": found.paper,
        "published": dict(found.accuracy),
        "other_protocol": dict(found.other_protocol),
        "note": found.note,
        "recipe": of_matcher(name),
        "reads_maps": found.reads_maps,
        "reads_stages": found.reads_stages,
        "transductive": found.transductive,
        "transductive_option": found.transductive_option,
    }


def _lines(name: str, of: Mapping[str, Any], *, width: int) -> list[str]:
    """Return the lines of a matcher for the terminal."""
    published = _scores(of["published"]) or "none published"
    lines = [of["paper"], f"5-way 1-shot / 5-shot: {published}"]
    if of["other_protocol"]:
        lines.append(f"of another protocol: {_scores(of['other_protocol'])}")
    if of["note"]:
        lines += textwrap.wrap(f"note: {of['note']}", 100 - width - 1)
    if of["transductive"]:
        lines.append("transductive: the queries of an episode see each other")
    if of["transductive_option"]:
        lines.append("each query alone; with --set matcher.options.transductive=true all together")
    lines.append(f"tasd train --recipe {of['recipe']}")
    names = [name, *[""] * len(lines)]
    return [f"{start:<{width}} {line}" for start, line in zip(names, lines, strict=False)]


def _scores(accuracy: Mapping[str, tuple[float | None, float | None]]) -> str:
    """Return the accuracies in one line; what is not published is a dash."""
    return ", ".join(
        f"{data} {' / '.join('-' if value is None else f'{value}' for value in pair)}"
        for data, pair in accuracy.items()
    )
