"""Trained on one data set, tested on another: one table, on cached features.

``python -m tests.cross OUT signs=k0.h5,k1.h5 photos=p0.h5,p1.h5 ...`` trains each variant of
`tests.study` on each file (a split of a set's classes) and tests the run on the test classes of its
own file and on all classes of each other set, on 10,000 episodes, beside the plain backbone on the
same episodes. Intervals are Student's t over the splits. Runs that are there are not trained again.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import Evaluated, evaluate
from tasd.evaluation.floor import with_floor
from tasd.evaluation.metrics import over_seeds
from tasd.extraction.run import Extraction
from tasd.features.reader import open_features
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store.source import ALL
from tests.study import VARIANTS, trained

ENDED = ("WCCN 5 alone", "encoder")  # the recipe small, and baseline on features


@dataclass(frozen=True)
class Cell:
    """Tests of a set's runs on one set: percent by split, of the run and of the plain backbone.

    shared: classes under test with the name of a training class, by split.
    """

    accuracy: tuple[float, ...]
    plain: tuple[float, ...]
    shared: tuple[float, ...]

    @property
    def text(self) -> str:
        """The mean, and its gain over the plain backbone with the interval over splits."""
        gains = np.subtract(self.accuracy, self.plain)
        text = f"{np.mean(self.accuracy):.1f} ({np.mean(gains):+.1f}"
        return text + (f" ±{over_seeds(gains).half:.1f})" if len(gains) > 1 else ")")


def figures(run: Run, file: Path, *, own: bool, args: argparse.Namespace) -> list[float]:
    """Return accuracy, that of the plain backbone, and shared classes; kept beside the run."""
    shape = f"{args.way}w{args.shot}s-{args.tested}e"
    kept = run.path / f"cross-{file.stem}-{'test' if own else ALL}-{shape}.json"
    if not kept.exists():
        one = scored(run, file, own=own, args=args)
        shared = one.content["provenance"]["trained_and_tested"]
        found = [100 * float(one.accuracy.mean()), plain_accuracy(one), len(shared)]
        kept.write_text(json.dumps(found), "utf-8")
    values: list[float] = json.loads(kept.read_text("utf-8"))
    return values


def scored(run: Run, file: Path, *, own: bool, args: argparse.Namespace) -> Evaluated:
    """Test a run on the test classes of its own file, or on all classes of another."""
    saved, store = checkpoint.load(run.best), open_features(file, told=True)
    how = Extraction(split="test" if own else ALL, allow_overlap=True)
    candidate = of_run(run, saved, store, how, source=run.best)
    candidate = with_floor(candidate, run, saved, store, how)
    request = EpisodeRequest(way=args.way, shot=args.shot, queries=1, count=args.tested)
    return evaluate(candidate, request, allow_overlap=True)


def plain_accuracy(found: Evaluated) -> float:
    """Return the accuracy of the plain backbone in percent, whichever start is the floor."""
    for start in (found.floor, found.other_start):
        if start is not None and start.candidate.origin.get("start") != "untrained":
            return 100 * start.summary.accuracy
    raise AssertionError(found.candidate.no_floor)


def crossed(
    sets: Mapping[str, Sequence[Path]], variant: str, out: Path, *, args: argparse.Namespace
) -> dict[tuple[str, str], Cell]:
    """Return the tests by training set and test set."""
    cells = {}
    for trained_on, files in sets.items():
        runs = [trained(variant, file, out, seed=0, args=_sized(file, args)) for file in files]
        for tested_on, others in sets.items():
            own = tested_on == trained_on
            found = [figures(run, file, own=own, args=args)
                     for run, file in zip(runs, others, strict=False)]  # fmt: skip
            accuracy, plain, shared = zip(*found, strict=True)
            cells[trained_on, tested_on] = Cell(accuracy, plain, shared)
    return cells


def _sized(file: Path, args: argparse.Namespace) -> argparse.Namespace:
    """Return the options with as many queries as the smallest training class allows, 3 at most."""
    fewest = min(map(len, open_features(file, told=True).classes("train").values()))
    return argparse.Namespace(**vars(args) | {"queries": min(3, fewest - args.shot)})


def table(sets: Sequence[str], rows: Mapping[str, Mapping[tuple[str, str], Cell]]) -> list[str]:
    """Return a Markdown table: a row for each variant and training set, a column for each test."""
    heads = [f"test on {name}" for name in sets]
    lines = [f"| variant | trained on | {' | '.join(heads)} |", "|" + "---|" * (2 + len(sets))]
    first = next(iter(rows.values()))
    for own, kind in ((True, "its test classes"), (False, "all classes, as other sets are tested")):
        means = [np.mean(first[_source(sets, name, own=own), name].plain) for name in sets]
        cells = [f"{mean:.1f}" for mean in means]
        lines.append(f"| plain backbone | nothing; {kind} | {' | '.join(cells)} |")
    for variant, cells_of in rows.items():
        for name in sets:
            shown = [cells_of[name, other].text for other in sets]
            shown[sets.index(name)] += " own"
            lines.append(f"| {variant} | {name} | {' | '.join(shown)} |")
    seen = {
        f"{a} -> {b}": max(cell.shared)
        for cells in rows.values()
        for (a, b), cell in cells.items()
        if max(cell.shared)
    }
    shared = ", ".join(f"{pair}: {number:.0f}" for pair, number in seen.items())
    return [*lines, "", f"Classes under test with the name of a training class: {shared or 'none'}"]


def _source(sets: Sequence[str], name: str, *, own: bool) -> str:
    return name if own else next(other for other in sets if other != name)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="+", metavar="NAME=FILE,FILE")
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=list(ENDED))
    parser.add_argument("--way", type=int, default=5)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--tested", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--every", type=int, default=15)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    args = parsed(words)
    named = (text.partition("=") for text in args.sets)
    sets = {name: [Path(file) for file in files.split(",")] for name, _, files in named}
    rows = {variant: crossed(sets, variant, args.out, args=args) for variant in args.variant}
    print("\n".join(table(list(sets), rows)))


if __name__ == "__main__":
    main()
