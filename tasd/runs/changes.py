"""The settings in which two configs differ, for resuming a run and for reproducing one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasd.config import Config


@dataclass(frozen=True)
class Change:
    """A setting in which two configs differ; None where one config has no such setting."""

    setting: str
    before: Any
    after: Any


def changes(was: Config, now: Config) -> Iterator[Change]:
    """Yield the settings in which two configs differ, sorted by name."""
    before, after = dict(_leaves(was.model_dump())), dict(_leaves(now.model_dump()))
    for key in sorted(before.keys() | after.keys()):
        if (key in before, before.get(key)) != (key in after, after.get(key)):
            yield Change(key, before.get(key), after.get(key))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
