"""Rows of each table, as configs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasd import recipes
from tasd.config import Config
from tasd.errors import UserError
from tasd.matchers import MATCHERS
from tasd.recipes.settings import replace
from tasd.registry import pick
from tasd.report.published import TABLE2, TABLE3
from tasd.training.plan import default_interval

# The matchers of Table 1, the prototypes, the simplest, and those after it: all that there are.
COMPARED = tuple(MATCHERS)
TERMS = ("ce", "at", "am", "pr")
DISTILLED = "+distillation"


@dataclass(frozen=True)
class Row:
    """A method of a table. name: the start of its runs' folder names, and a value of ``--only``."""

    name: str
    config: Config


@dataclass(frozen=True)
class RowRequest:
    """Options of the rows.

    recipe: the common recipe of all rows, or None for the default of the table. settings: those
    of ``--set``; settings of the distillation apply to rows with distillation. only: names of
    rows; all rows where it is empty.
    """

    dataset: str
    shot: int = 1
    recipe: str | None = None
    settings: Sequence[tuple[str, Any]] = ()
    only: Sequence[str] = ()


def matcher_rows(request: RowRequest) -> list[Row]:
    """Return the rows of Table 1: each matcher, without and with distillation.

    Each matcher has its own recipe, as published. With a common recipe, all rows have the network,
    data, optimiser and distillation of that recipe; only the matcher and its own losses differ.
    """
    rows = []
    for matcher in COMPARED:
        config = _of_matcher(matcher, request)
        rows.append(Row(matcher, recipes.change(config, [("distill", "none")])))
        rows.append(Row(matcher + DISTILLED, config))
    return rows


def _of_matcher(matcher: str, request: RowRequest) -> Config:
    """Return the config of the matcher with distillation."""
    own = recipes.for_matcher(matcher, dataset=request.dataset, shot=max(1, request.shot))
    settings: list[tuple[str, Any]] = []
    if request.recipe is None:
        base = own
    else:
        base = recipes.make(request.recipe, dataset=request.dataset, shot=max(1, request.shot))
        if base.matcher.name != matcher:
            settings.append(("matcher", own.matcher.model_dump()))
    if not base.distill.weights:
        settings.append(("distill", "tasd"))
    return recipes.change(base, [*settings, *request.settings])


def term_rows(request: RowRequest) -> list[Row]:
    """Return the rows of Table 2: the terms of the distillation, added one after the other."""
    full = _full(request)
    rows = []
    for row in TABLE2:
        off = [(f"distill.{term}", 0.0) for term in TERMS if term not in row.terms]
        name = "+".join(term for term in TERMS if term in row.terms) or "baseline"
        rows.append(Row(name, replace(full, off)))
    return rows


def pair_rows(request: RowRequest) -> list[Row]:
    """Return the rows of Table 3: the modes of video pairs, for projections and for maps."""
    full = _full(request)
    return [
        Row(
            row.mode,
            replace(full, [("distill.ce_pairs", row.mode), ("distill.map_pairs", row.mode)]),
        )
        for row in TABLE3
    ]


def _full(request: RowRequest) -> Config:
    name = request.recipe or "tasd"
    config = recipes.make(
        name, dataset=request.dataset, shot=request.shot, settings=request.settings
    )
    missing = [term for term in TERMS if term not in config.distill.weights]
    if missing:
        raise UserError(
            f"this table needs the distillation terms {', '.join(TERMS)}, but recipe {name!r} with "
            f"these settings has distill.{missing[0]} = 0; choose another --recipe, or add --set "
            "distill=tasd"
        )
    return config


TABLES: Mapping[str, Callable[[RowRequest], list[Row]]] = {
    "table1": matcher_rows,
    "table2": term_rows,
    "table3": pair_rows,
}


def rows_of(table: str, request: RowRequest) -> list[Row]:
    """Return the rows of a table. Raises `UserError` for wrong names and settings."""
    rows = {row.name: row for row in pick(TABLES, table, what="table")(request)}
    if not request.only:
        return list(rows.values())
    chosen = {pick(rows, name, what=f"row of {table}").name for name in request.only}
    return [row for row in rows.values() if row.name in chosen]


def keep_checkpoints(row: Row) -> Row:
    """Return the row with settings that keep a checkpoint at every validation."""
    training = row.config.training
    every = training.validation_every or default_interval(training.episodes)
    return Row(row.name, replace(row.config, [("training.checkpoint_every", every)]))
