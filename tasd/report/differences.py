"""The settings in which runs differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasd.report.markup import paragraph, plain_table
from tasd.report.outcome import Outcome
from tasd.runs.changes import changes

MISSING = "no such setting"


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs, and its value in each of them."""

    setting: str
    values: tuple[str, ...]


def differences(outcomes: Sequence[Outcome]) -> list[Difference]:
    """Return the settings in which any run differs from the first, sorted by name."""
    first = outcomes[0].config
    names = {change.setting for o in outcomes[1:] for change in changes(first, o.config)}
    trees = [outcome.config.model_dump() for outcome in outcomes]
    return [Difference(name, tuple(_value(tree, name) for tree in trees)) for name in sorted(names)]


def differences_table(outcomes: Sequence[Outcome]) -> str:
    """Return a table of the differences as HTML, or a sentence where there are none."""
    found = differences(outcomes)
    if not found:
        return paragraph("The runs have the same settings.")
    header = ("setting", *(outcome.name for outcome in outcomes))
    rows = [(one.setting, *one.values) for one in found]
    return plain_table(header, rows, label="settings in which the runs differ")


def _value(tree: Mapping[str, Any], name: str) -> str:
    value: Any = tree
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return "none" if value is None else str(value)
