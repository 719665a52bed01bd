"""Eq. 2 from random weights: variants of the distillation compared over seeds.

``python -m tests.scratch OUT --store STORE`` trains each variant with each seed as `tasd demo` does
(STORE is that of a demo), tests it on the unseen actions, and prints a table: accuracy over seeds,
the difference to no distillation and to that from the first step, paired by seed, and the last
losses of Eq. 2. Runs that are there are not trained again. ``--look RUN`` prints what the teacher's
targets hold at each kept checkpoint of a run (`Targets`), to see why.
"""

import argparse
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from tasd import recipes
from tasd.config import Config
from tasd.episodes import evaluation_view
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.metrics import over_seeds
from tasd.extraction.run import Extraction
from tasd.loader import open_views
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import Checkpoint, fill, load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.learner import build_learner
from tasd.training.loop import train
from tasd.training.teacher import Teacher

NONE, UNCHANGED = "no distillation", "from the first step"
_OFF = [(f"distill.{term}", 0.0) for term in ("ce", "at", "am", "pr")]
_ALONE = [(f"distill.{term}", 0.0) for term in ("at", "am", "pr")]
VARIANTS: dict[str, list[tuple[str, Any]]] = {
    NONE: _OFF,
    UNCHANGED: [],
    "Eq. 2 alone": _ALONE,
    "faster centre, 0.5": [("distill.centre_momentum", 0.5)],
    "slower centre, 0.99": [("distill.centre_momentum", 0.99)],
    "slowest centre, 0.999": [("distill.centre_momentum", 0.999)],
    "faster teacher": [("distill.ema_start", 0.3)],
    "sharper teacher": [("distill.teacher_temperature", 0.01)],
    "warm-up from 0.01": [("distill.teacher_temperature_start", 0.01)],
    "from a quarter on": [("distill.start", 0.25)],
    "from the half on": [("distill.start", 0.5)],
    "from the half on, faster centre": [
        ("distill.start", 0.5),
        ("distill.centre_momentum", 0.5),
    ],
    "from the half on, slower centre": [
        ("distill.start", 0.5),
        ("distill.centre_momentum", 0.99),
    ],
    "from the half on, sharper teacher": [
        ("distill.start", 0.5),
        ("distill.teacher_temperature", 0.01),
    ],
}


@dataclass(frozen=True)
class Targets:
    """The distributions that the teacher gives the student of some training videos.

    entropy: of the targets, as a part of that of the even distribution. settled: the same with the
    centre at the mean of these videos, where it would be if it did not lag behind the teacher.
    told: by how many nats the targets of a video lie nearer to those of its own class than to those
    of other classes, which is all that Eq. 2 can teach of classes. told_settled: the same with that
    centre. alike: mean cosine of the teacher's features of two videos of different classes.
    """

    episode: int
    entropy: float
    settled: float
    told: float
    told_settled: float
    alike: float


def targets_of(saved: Checkpoint, store: Store, *, classes: int = 20) -> Targets:
    """Compute them for two videos of each of the first training classes."""
    videos = [video for ids in list(store.classes("train").values())[:classes] for video in ids[:2]]
    teacher = _teacher(saved)
    views = [[evaluation_view(video, saved.config.data.frames)] for video in videos]
    batches = open_views(store, views, size=saved.config.data.crop, device="cpu")
    with torch.inference_mode():
        frames = torch.cat([teacher.model(pixels).frames for pixels in batches])
        outputs = teacher.model.project(frames)
    temperature = saved.config.distill.teacher_temperature
    centred = ((outputs - teacher.centre) / temperature).log_softmax(1)
    settled = ((outputs - outputs.mean(dim=0)) / temperature).log_softmax(1)
    features = functional.normalize(frames.mean(dim=1), dim=1)
    even = math.log(outputs.shape[1])
    return Targets(
        episode=saved.progress.episode,
        entropy=_entropy(centred) / even,
        settled=_entropy(settled) / even,
        told=_told(centred),
        told_settled=_told(settled),
        alike=float((features[::2] @ features[1::2].T)[~torch.eye(len(videos) // 2).bool()].mean()),
    )


def _teacher(saved: Checkpoint) -> Teacher:
    learner = build_learner(saved.config, classes=saved.classes, initialise=False)
    teacher = Teacher(learner.student, saved.config.distill)
    assert saved.teacher is not None, "the run has no teacher"
    fill(teacher, saved.teacher, source="the teacher")
    teacher.model.precision = "float32"
    return teacher


def _entropy(logarithms: Float[Tensor, "videos out_dim"]) -> float:
    return float(-(logarithms.exp() * logarithms).sum(1).mean())


def _told(logarithms: Float[Tensor, "videos out_dim"]) -> float:
    """Cross-entropy of videos of different classes minus that of the same: rows in pairs."""
    cross = -logarithms[::2].exp() @ logarithms[1::2].T
    same = torch.eye(len(cross)).bool()
    return float(cross[~same].mean() - cross[same].mean())


def config_of(variant: str, seed: int, args: argparse.Namespace) -> Config:
    """Return the settings of a run."""
    every = [("training.episodes", args.episodes), ("training.validation_every", args.every)]
    own = [("data.crop", args.crop), ("training.seed", seed), ("training.precision", "float32")]
    kept = [("training.checkpoint_every", args.keep)] if args.keep else []
    made = recipes.make("demo", dataset="folder", shot=1)
    at_once = [] if variant == NONE else [("distill.start", 0.0)]
    return replace(made, [*every, *own, *kept, *at_once, *VARIANTS[variant]])


def figures(variant: str, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """Train and test a variant with a seed; return accuracies in percent and Eq. 2's last loss.

    validation: of the checkpoint that validation chose. accuracy: its test.
    """
    name = variant.replace(" ", "_").replace(",", "")
    run, kept = Run(args.out / f"{name}-seed{seed}"), args.out / f"{name}-seed{seed}.json"
    if not kept.exists():
        with Store(args.store) as store:
            resume = run.last if run.last.exists() else None
            train(config_of(variant, seed, args), store, run=run, device="cpu", resume=resume,
                  trackers=(), console=Console(file=io.StringIO()))  # fmt: skip
            found = evaluate(
                of_run(run, load(run.best), store, Extraction(), source=run.best),
                EpisodeRequest(way=5, shot=1, queries=1, count=args.tested),
            )
        lines = run.read_metrics()
        losses = [line["terms"]["ce"]["raw"] for line in lines
                  if line["kind"] == "train" and "ce" in line["terms"]]  # fmt: skip
        validated = [line[network]["accuracy"] for line in lines if line["kind"] == "validation"
                     for network in ("student", "teacher") if network in line]  # fmt: skip
        last = float(np.mean(losses[-50:])) if losses else math.nan
        args.out.mkdir(parents=True, exist_ok=True)
        content = {
            "validation": 100 * max(validated),
            "accuracy": 100 * float(found.accuracy.mean()),
            "ce": last,
        }
        kept.write_text(json.dumps(content), "utf-8")
        for spare in () if args.keep else (run.last, run.last.with_name("previous.pt")):
            spare.unlink(missing_ok=True)
    values: dict[str, float] = json.loads(kept.read_text("utf-8"))
    return values


def table(found: dict[str, list[dict[str, float]]], *, outputs: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield (
        f"| variant | validation | test | minus {NONE} | minus {UNCHANGED} | "
        f"Eq. 2's last loss by seed (even: {math.log(outputs):.2f}) |"
    )
    yield "|" + "---|" * 6
    accuracy = {name: np.array([one["accuracy"] for one in rows]) for name, rows in found.items()}
    for name, rows in found.items():
        minus = [
            _interval(accuracy[name] - accuracy[other]) if other in accuracy and other != name
            else "" for other in (NONE, UNCHANGED)
        ]  # fmt: skip
        losses = " ".join(f"{one['ce']:.2f}" for one in rows) if name != NONE else ""
        mean = _interval(accuracy[name], sign="")
        chosen = _interval(np.array([one["validation"] for one in rows]), sign="")
        yield f"| {name} | {chosen} | {mean} | {' | '.join(minus)} | {losses} |"


def _interval(values: Float[np.ndarray, " seeds"], *, sign: str = "+") -> str:
    if len(values) < 2:
        return f"{values[0]:{sign}.1f}"
    found = over_seeds(values)
    return f"{found.mean:{sign}.1f} ±{found.half:.1f}"


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--look", type=Path)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--keep", type=int, help="keep checkpoints, to look at")
    parser.add_argument("--tested", type=int, default=10_000)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, or what the targets of a run hold."""
    args = parsed(words)
    if args.look is not None:
        heads = ("episode", "entropy", "settled", "told, nats", "told, settled", "alike")
        print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        with Store(args.store) as store:
            for path in sorted(Run(args.look).checkpoints.glob("episode-*.pt")):
                one = targets_of(load(path), store)
                cells = (one.entropy, one.settled, one.told, one.told_settled, one.alike)
                shown = " | ".join(f"{value:.4f}" for value in cells)
                print(f"| {one.episode} | {shown} |", flush=True)
        return
    found = {name: [figures(name, seed, args) for seed in range(args.seeds)] for name in args.only}
    outputs = config_of(UNCHANGED, 0, args).distill.out_dim
    print("\n".join(table(found, outputs=outputs)))


if __name__ == "__main__":
    main()
