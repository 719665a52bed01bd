"""What each table compares: its rows, as configs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasd import recipes
from tasd.config import Config, replace
from tasd.errors import UserError
from tasd.matchers import MATCHERS
from tasd.registry import pick
from tasd.report.published import TABLE2, TABLE3
from tasd.training.plan import default_interval

TERMS = ("ce", "at", "am", "pr")
WITH = "+distillation"


@dataclass(frozen=True)
class Row:
    """A method of a table. name: of its runs' folders, and what ``--only`` takes."""

    name: str
    config: Config


@dataclass(frozen=True)
class RowRequest:
    """What a person asked of the rows.

    recipe: what all rows have in common, or None for the default of the table. settings: as of
    ``--set``; those of the distillation count where there is one. only: names of rows, or none
    for all.
    """

    dataset: str
    shot: int = 1
    recipe: str | None = None
    settings: Sequence[tuple[str, Any]] = ()
    only: Sequence[str] = ()


def matcher_rows(wanted: RowRequest) -> list[Row]:
    """Table 1: every matcher, without distillation and with it.

    Each by its own recipe, as published; or, with ``recipe``, all on the network, data, optimiser
    and distillation of that one, so that only the matcher and its own losses differ.
    """
    rows = []
    for matcher in MATCHERS:
        config = _of_matcher(matcher, wanted)
        rows.append(Row(matcher, recipes.change(config, [("distill", "none")])))
        rows.append(Row(matcher + WITH, config))
    return rows


def _of_matcher(matcher: str, wanted: RowRequest) -> Config:
    """The matcher with distillation."""
    own = recipes.for_matcher(matcher, dataset=wanted.dataset, shot=wanted.shot)
    settings: list[tuple[str, Any]] = []
    if wanted.recipe is None:
        base = own
    else:
        base = recipes.make(wanted.recipe, dataset=wanted.dataset, shot=wanted.shot)
        if base.matcher.name != matcher:
            settings.append(("matcher", own.matcher.model_dump()))
    if not base.distill.weights:
        settings.append(("distill", "tasd"))
    return recipes.change(base, [*settings, *wanted.settings])


def term_rows(wanted: RowRequest) -> list[Row]:
    """Table 2: the terms of the distillation, one after the other."""
    full = _full(wanted)
    rows = []
    for row in TABLE2:
        off = [(f"distill.{term}", 0.0) for term in TERMS if term not in row.terms]
        name = "+".join(term for term in TERMS if term in row.terms) or "baseline"
        rows.append(Row(name, replace(full, off)))
    return rows


def pair_rows(wanted: RowRequest) -> list[Row]:
    """Table 3: which videos the two networks are compared on, by projections and by maps."""
    full = _full(wanted)
    return [
        Row(
            row.mode,
            replace(full, [("distill.ce_pairs", row.mode), ("distill.map_pairs", row.mode)]),
        )
        for row in TABLE3
    ]


def _full(wanted: RowRequest) -> Config:
    name = wanted.recipe or "tasd"
    config = recipes.make(name, dataset=wanted.dataset, shot=wanted.shot, settings=wanted.settings)
    missing = [term for term in TERMS if term not in config.distill.weights]
    if missing:
        raise UserError(
            f"the table compares the terms {', '.join(TERMS)} of the distillation, and recipe "
            f"{name!r} with these settings has distill.{missing[0]} = 0; take another --recipe, or "
            "add --set distill=tasd"
        )
    return config


TABLES: Mapping[str, Callable[[RowRequest], list[Row]]] = {
    "table1": matcher_rows,
    "table2": term_rows,
    "table3": pair_rows,
}


def rows_of(table: str, wanted: RowRequest) -> list[Row]:
    """The rows of a table. Raises `UserError` for names and settings that are wrong."""
    rows = {row.name: row for row in pick(TABLES, table, what="table")(wanted)}
    if not wanted.only:
        return list(rows.values())
    asked = {pick(rows, name, what=f"row of {table}").name for name in wanted.only}
    return [row for row in rows.values() if row.name in asked]


def keeping_checkpoints(row: Row) -> Row:
    """The row with a checkpoint kept at every validation."""
    training = row.config.training
    every = training.validation_every or default_interval(training.episodes)
    return Row(row.name, replace(row.config, [("training.checkpoint_every", every)]))
