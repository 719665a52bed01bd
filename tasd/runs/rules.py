"""Rules that have changed, and configs from disk, which keep the rules they were written under.

A rule that changes becomes a setting that every config records. A file without that setting was
written before, under the old rule.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasd.config import Config, validate


@dataclass(frozen=True)
class OldRule:
    """The value of a setting where a file does not have it, since it is older than the setting.

    setting: as in ``--set``. where: the value that each of these other settings has in the file.
    """

    setting: str
    value: Any
    where: Mapping[str, Any] = field(default_factory=dict)


# The first rule that fits counts.
OLD_RULES = (
    OldRule(
        "matcher.options.rule",
        "prototype",
        where={"matcher.name": "prototype", "matcher.options.metric": "squared_l2"},
    ),
    OldRule("matcher.options.rule", "mean", where={"matcher.name": "prototype"}),
    OldRule("distill.relation_statistics", "episode", where={"distill.pr": 0.0}),  # no effect
    OldRule("distill.relation_statistics", "running"),
    OldRule(
        "training.untrained_candidate",
        True,  # no effect
        where={"network.weights": "none", "data.features": None},
    ),
    OldRule("training.untrained_candidate", False),
    OldRule("training.graph", "off"),
    OldRule(
        "training.plain_candidate",
        True,  # no effect
        where={"network.weights": "none", "data.features": None},
    ),
    OldRule("training.plain_candidate", False),
)


def read_config(tree: Any, *, source: str) -> Config:
    """Return the `Config` that a file holds; settings that it is too old for get the old rule.

    source: the file, for messages. Raises `UserError`.
    """
    return validate(_with_old_rules(tree), source=source)


def _with_old_rules(tree: Any) -> Any:
    completed = copy.deepcopy(tree)
    for rule in OLD_RULES:
        fits = all(_get(tree, other) == value for other, value in rule.where.items())
        *parents, leaf = rule.setting.split(".")
        branch = _get(completed, ".".join(parents))
        if fits and isinstance(branch, dict):
            branch.setdefault(leaf, rule.value)
    return completed


def _get(tree: Any, setting: str) -> Any:
    """Return a setting, or None where a part of its name is missing."""
    for part in setting.split(".") if setting else ():
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
