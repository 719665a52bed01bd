"""``tasd demo``: generated videos, a store, training, accuracy on unseen classes, and pictures."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from prep.clip import frame_settings
from prep.ffmpeg_process import find_ffmpeg
from prep.prepare import prepare
from prep.progress import ProgressBar
from prep.shard import PrepSettings
from prep.sources import find_sources, make_split_rule
from tasd import recipes
from tasd.config import Config, replace
from tasd.datasets import DATASETS
from tasd.demo.generate import FRAMES, SIDE, generate
from tasd.demo.sheet import Strip, contact_sheet
from tasd.device import pick_device
from tasd.episodes import View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.metrics import Interval, episode_interval
from tasd.evaluation.results import write_document
from tasd.evaluation.score import Result, score
from tasd.extraction.extract import extract
from tasd.extraction.run import Extraction
from tasd.loader import open_views
from tasd.model import Model
from tasd.report import OverlayOptions, write_report
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train

TEST_EPISODES = 10_000


@dataclass(frozen=True)
class Scale:
    """Videos of each class, and training episodes, of a demo."""

    per_class: int
    episodes: int
    validation_every: int


FULL = Scale(per_class=20, episodes=400, validation_every=100)
QUICK = Scale(per_class=12, episodes=40, validation_every=20)


@dataclass(frozen=True)
class Outcome:
    """Accuracies on the unseen actions by the name of what was tested, and the best network."""

    accuracies: Mapping[str, Interval]
    best: str
    sheet: Path


def demo(out: Path, *, quick: bool, seed: int, device: str, console: Console) -> Outcome:
    """Run the whole demo in the folder ``out``. Raises `UserError`."""
    scale, began = QUICK if quick else FULL, time.monotonic()
    if (out / "run").exists():
        raise UserError(f"{out} already holds a demo; name another folder with --out, or delete it")
    console.print("1. generating videos of moving shapes", highlight=False)
    generated = generate(out, per_class=scale.per_class, seed=seed)
    console.print(
        f"2. preparing {generated.videos} videos of {generated.classes} actions", highlight=False
    )
    store = _prepare(generated.root, generated.split, out / "store", console)
    console.print(
        f"3. training from scratch on {len(store.classes('train'))} of them", highlight=False
    )
    trained = train(
        _config(scale, seed), store, run=Run(out / "run"), device=device, console=console
    )
    if trained.exit_code:
        raise SystemExit(trained.exit_code)
    console.print(
        f"4. evaluating on {len(store.classes('test'))} actions never seen", highlight=False
    )
    outcome = _evaluate(trained.run, store, out, device)
    console.print(_table(outcome, quick=quick))
    overlays = OverlayOptions(store=Path(store.path))
    report = write_report([trained.run.path], out / "report", overlays)
    for path in (outcome.sheet, *report.files):
        console.print(str(path), highlight=False, soft_wrap=True)
    minutes = (time.monotonic() - began) / 60
    console.print(f"all of it took {minutes:.1f} minutes", highlight=False)
    return outcome


def _prepare(root: Path, split: Path, folder: Path, console: Console) -> Store:
    kind = DATASETS["folder"]
    rule = make_split_rule(kind, counts=dict.fromkeys(("train", "val", "test")), file=split, seed=0)
    prep_settings = PrepSettings(
        root=root.absolute(),
        store=folder.absolute(),
        dataset="folder",
        frame_settings=frame_settings(frames=str(FRAMES), fps=None, resize="square", size=SIDE),
        tool=find_ffmpeg(None),
    )
    with ProgressBar(console) as bar:
        sources = find_sources(kind, root, [], split_rule=rule, say=bar.say)
        prepare(
            sources,
            prep_settings,
            on_start=bar.begin,
            on_progress=bar.advance,
            say=bar.say,
            workers=os.cpu_count() or 1,
        )
    return Store(folder)


def _config(scale: Scale, seed: int) -> Config:
    return replace(
        recipes.make("demo", dataset="folder", shot=1),
        [
            ("training.episodes", scale.episodes),
            ("training.validation_every", scale.validation_every),
            ("training.checkpoint_every", scale.episodes),  # and before training
            ("training.seed", seed),
        ],
    )


def _evaluate(run: Run, store: Store, out: Path, device: str) -> Outcome:
    device = str(pick_device(device))
    saved = checkpoint.load(run.best)
    candidate = of_run(run, saved, store, Extraction(device=device), source=run.best)
    tested = evaluate(
        candidate, EpisodeRequest(way=5, shot=1, queries=1, count=TEST_EPISODES), device=device
    )
    write_document(run.evaluation / f"{tested.name}.json", tested.content)
    results = candidate.score(tested.episodes, device=device)
    trained = checkpoint.networks(saved)[candidate.chosen]
    first = checkpoint.load(run.checkpoints / "episode-000000.pt")
    untrained = checkpoint.networks(first)["student"]
    one_frame = f"{candidate.chosen}, one frame shown eight times"
    every = {
        "untrained": _score(untrained, store, tested.episodes, out, device),
        **results,
        one_frame: _score(trained, store, tested.episodes, out, device, one_frame=True),
    }
    sheet = _draw_episode(
        results[candidate.chosen], store, out / "episode.png", saved.config.data.crop
    )
    accuracies = {name: episode_interval(result.accuracy) for name, result in every.items()}
    return Outcome(accuracies, candidate.chosen, sheet)


def _score(
    network: Model,
    store: Store,
    episodes: EpisodeTable,
    out: Path,
    device: str,
    *,
    one_frame: bool = False,
) -> Result:
    """Score one network; with ``one_frame`` on the middle frame of each video, eight times."""

    def view(video: str) -> View:
        return View(video, positions=(0.5,) * 8) if one_frame else evaluation_view(video, 8)

    path = out / "features.h5"
    features = extract(
        network.to(device),
        store,
        path,
        classes=store.classes("test"),
        view=view,
        size=64,
        device=device,
        split="test",
    )
    path.unlink()
    return score(features, episodes, network.matcher, device=device)


def _draw_episode(result: Result, store: Store, path: Path, crop: int) -> Path:
    """Draw the first of the episodes whose accuracy is nearest to the median."""
    median = float(np.median(result.accuracy))
    index = int(np.argmin(np.abs(result.accuracy - median)))
    table = result.episodes
    members = [*table.support[index].ravel(), *table.query[index].ravel()]
    views = [evaluation_view(table.videos[row], 8) for row in members]
    pixels = next(iter(open_views(store, [views], size=crop, device="cpu", kind="torch")))
    truth = [table.classes[table.video_class[row]] for row in members]
    predicted = [None] * table.way + [table.classes[c] for c in result.predicted[index]]
    strips = [Strip(*strip) for strip in zip(pixels.numpy(), truth, predicted, strict=True)]
    title = "five actions never seen in training, one example of each"
    contact_sheet(strips[: table.way], strips[table.way :], title=title).save(path)
    return path


def _table(outcome: Outcome, *, quick: bool) -> Table:
    table = Table(
        title="5-way 1-shot on actions never seen in training (chance: 20 %)",
        caption="a quick run: train longer, without --quick, for a real result" if quick else None,
    )
    table.add_column("network")
    table.add_column("accuracy", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, interval in outcome.accuracies.items():
        mark = " *" if name == outcome.best else ""
        ends = f"{interval.low:.1%} - {interval.high:.1%}"
        table.add_row(name + mark, f"{interval.mean:.1%}", ends)
    return table
