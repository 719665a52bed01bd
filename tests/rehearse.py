"""A dress rehearsal at full size: the commands of a person on all names of a data set.

``python -m tests.rehearse OUT`` lays out UCF101, HMDB51 and Kinetics-100 under their official names
(`tests.official_names`) and runs prep, 50 training episodes, a test of 10,000 episodes over all
test videos, and report, each as a command of its own, watched (`tests.watched`). It prints a table
of stages. A rehearsal that was stopped goes on with the stage that it was in.

With two or three ``--share`` it rehearses each share and prints the exponents of growth as well.
TASD_TEST_DATA names the folder of the genuine clips.
"""

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tasd.store import Store
from tests.official_names import CLIPS, lay_out, lists_of, official_names
from tests.watched import Watched, disk, watch

STAGES = ("layout", "prep", "train", "evaluate", "report")
RUN = "rehearsal"


@dataclass(frozen=True)
class Rehearsal:
    """A data set at a share of its videos, in a folder of its own."""

    dataset: str
    share: float
    folder: Path
    data: Path
    args: argparse.Namespace

    @property
    def store(self) -> Path:
        """The store that prep writes."""
        return self.folder / "home/stores" / self.dataset

    @property
    def run(self) -> Path:
        """The run that train writes."""
        return self.folder / "home/runs" / RUN

    def command(self, stage: str) -> list[str]:
        """Return the words of a stage."""
        words = {"prep": self._prep, "train": self._train, "evaluate": self._evaluate}
        own = words[stage]() if stage in words else ["report", str(self.run)]
        return [sys.executable, "-m", "tasd", *own]

    def _prep(self) -> list[str]:
        lists = [word for path in lists_of(self.dataset, self.data) for word in ("--list", path)]
        words = ["prep", self.dataset, "--root", self.folder / "root", "--store", self.store]
        return [*map(str, [*words, *lists]), "--size", str(self.args.size)]

    def _train(self) -> list[str]:
        if (self.run / "config.json").exists():
            return ["train", "--resume", str(self.run), "--device", "cpu"]
        words = ["train", "--store", str(self.store), "--out", str(self.run), "--device", "cpu"]
        words += ["--backbone", self.args.backbone, "--weights", "none"]
        words += ["--crop", str(self.args.crop), "--episodes", str(self.args.episodes)]
        return [*words, "--queries", str(self.args.queries)]

    def _evaluate(self) -> list[str]:
        words = ["evaluate", "--run", str(self.run), "--store", str(self.store)]
        return [*words, "--episodes", str(self.args.tested), "--device", "cpu"]

    def _classes(self, split: str) -> Mapping[str, Sequence[str]]:
        with Store(self.store) as store:
            return dict(store.classes(split))

    def check(self, stage: str, videos: int) -> None:
        """Fail where a stage has not done all of its work."""
        if stage == "prep":
            with Store(self.store) as store:
                assert len(store.videos) == videos, f"{len(store.videos)} of {videos} videos"
        if stage == "evaluate":
            (path,) = (self.run / "evaluation").glob("*.json")
            found = json.loads(path.read_text("utf-8"))
            tested = sum(map(len, self._classes("test").values()))
            assert found["provenance"]["split"]["videos"] == tested
            assert found["episodes"]["count"] == self.args.tested
        if stage == "report":
            assert (self.run / "figures/report.html").stat().st_size > 10_000


def rehearse(one: Rehearsal, *, say: Callable[[str], None] = print) -> dict[str, dict[str, float]]:
    """Do the stages that are left, and return the figures of all, by stage."""
    one.folder.mkdir(parents=True, exist_ok=True)
    notes = one.folder / "stages.json"
    found = json.loads(notes.read_text("utf-8")) if notes.exists() else {}
    own = {"TASD_HOME": str(one.folder / "home")}
    for stage in STAGES:
        if stage in found:
            continue
        say(f"{one.dataset}, {one.share:g} of its videos: {stage}")
        before = disk(one.folder)
        if stage == "layout":
            begun, spent = time.monotonic(), time.process_time()
            videos = lay_out(one.dataset, one.data, one.folder / "root", share=one.share)
            seen = Watched(time.monotonic() - begun, time.process_time() - spent, 0, 0, 0)
        else:
            log = one.folder / f"{stage}.log"
            seen = watch(one.command(stage), env=os.environ | own, log=log)
            videos = int(found["layout"]["videos"])
            one.check(stage, videos)
        found[stage] = asdict(seen) | {"disk": disk(one.folder) - before, "videos": videos}
        temporary = notes.with_suffix(".new")
        temporary.write_text(json.dumps(found, indent=1), "utf-8")
        temporary.replace(notes)
    return found


FIGURES = ("seconds", "cpu", "memory", "mapped", "disk", "files")
Found = Mapping[str, Mapping[str, float]]


def table(rehearsals: Mapping[str, Found]) -> list[str]:
    """Return the stages of each data set as a Markdown table."""
    lines = [
        "| data set | videos | stage | seconds | of the processors | MiB of memory | with mapped "
        "files | MiB of disk | open files |",
        "|" + "---|" * 9,
    ]
    for name, found in rehearsals.items():
        for stage in STAGES:
            one = found[stage]
            mib = [f"{one[key] / 2**20:,.0f}" for key in ("memory", "mapped", "disk")]
            shown = [f"{one['seconds']:,.0f}", f"{one['cpu']:,.0f}", *mib, f"{one['files']:,.0f}"]
            if stage == "layout":
                shown[2:4], shown[5] = ("-", "-"), "-"
            cells = (name, f"{one['videos']:,.0f}", stage, *shown)
            lines.append(f"| {' | '.join(cells)} |")
        total = sum(found[stage]["seconds"] for stage in STAGES)
        lines.append(f"| {name} | | all | {total:,.0f} | | | | | |")
    return lines


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the exponent of growth with the number of videos.

    Of three sizes with equal ratios the exponent is that of the differences, so that what every run
    takes, as the start of Python, has no part in it. NaN where a value does not grow.
    """
    if len(sizes) == 2:
        step = values
    else:
        step = [after - before for before, after in itertools.pairwise(values)]
    if min(step) <= 0:
        return math.nan
    return math.log(step[1] / step[0]) / math.log(sizes[-1] / sizes[-2])


def growths(name: str, found: Sequence[Found]) -> list[str]:
    """Return the exponents of each stage over the shares as a Markdown table."""
    sizes = [one["layout"]["videos"] for one in found]
    shown = " to ".join(f"{size:,.0f}" for size in (sizes[0], sizes[-1]))
    lines = [
        f"| {name}, {shown} videos: grows as n to the power | {' | '.join(FIGURES)} |",
        "|" + "---|" * (1 + len(FIGURES)),
    ]
    for stage in STAGES:
        powers = [growth(sizes, [one[stage][key] for one in found]) for key in FIGURES]
        cells = ["-" if math.isnan(power) else f"{power:.2f}" for power in powers]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return lines


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dataset", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--share", nargs="+", type=float, default=[1.0])
    parser.add_argument("--backbone", default="resnet8")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--crop", type=int, default=112)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--tested", type=int, default=10_000)
    return parser.parse_args(words)


def queries_of(dataset: str, data: Path, *, share: float) -> int:
    """Return the queries of a training episode: 5, or what the smallest class leaves.

    All shares of a data set have those of the smallest one, so that their steps are equal.
    """
    names = official_names(dataset, data, share=share)
    return min(5, min(Counter(name.partition("/")[0] for name in names).values()) - 1)


def main(words: Sequence[str] | None = None) -> None:
    """Rehearse, and print the tables."""
    args = parsed(words)
    data = Path(os.environ["TASD_TEST_DATA"])
    tables, powers = {}, []
    for dataset in args.dataset:
        found = []
        args.queries = queries_of(dataset, data, share=min(args.share))
        for share in sorted(args.share):
            folder = args.out.absolute() / f"{dataset}-{share:g}"
            found.append(rehearse(Rehearsal(dataset, share, folder, data, args)))
            tables[dataset if share == 1 else f"{dataset}, {share:g}"] = found[-1]
        if len(found) > 1:
            powers += ["", *growths(dataset, found)]
    print("\n".join([*table(tables), *powers]))


if __name__ == "__main__":
    main()
