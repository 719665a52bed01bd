"""``tasd demo``: generated videos, a store, training, accuracy on unseen classes, and pictures.

A stage that is done is left alone, one that was stopped goes on: stopped at any moment, the same
command reaches the same figures.
"""

import os
import time
from pathlib import Path

from rich.console import Console

from prep.clip import frame_settings
from prep.ffmpeg_process import find_ffmpeg
from prep.prepare import prepare
from prep.progress import ProgressBar
from prep.shard import PrepSettings
from prep.sources import find_sources, make_split_rule
from tasd import recipes
from tasd.config import Config
from tasd.datasets import DATASETS
from tasd.demo.folder import FULL, QUICK, DemoFolder, Scale, opened
from tasd.demo.generate import FRAMES, SIDE, SPLIT_FILE, generate
from tasd.demo.outcome import Outcome, read_outcome, table, test_network
from tasd.device import pick_device
from tasd.foreign import clean
from tasd.recipes.settings import replace
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train

STOPPED = "stopped; the same command goes on from here"


def demo(
    out: Path,
    *,
    quick: bool,
    seed: int,
    device: str,
    console: Console,
    scale: Scale | None = None,
) -> Outcome:
    """Run the demo in the folder ``out``, or go on with the same demo that was stopped there.

    scale: that of ``quick`` by default. Raises `UserError`, before anything is written where
    the device or the folder will not do.
    """
    scale = scale or (QUICK if quick else FULL)
    pick_device(device)
    with opened(out, seed=seed, quick=quick, scale=scale) as folder:
        began = time.monotonic()
        if folder.outcome.exists():
            console.print(
                f"{clean(out)} holds the whole of this demo:", highlight=False, markup=False
            )
            outcome = read_outcome(folder)
        else:
            try:
                outcome = _stages(folder, scale, seed=seed, device=device, console=console)
            except KeyboardInterrupt:
                console.print(STOPPED, highlight=False)
                raise SystemExit(130) from None
        console.print(table(outcome, quick=quick))
        for name in outcome.files:
            console.print(clean(out / name), highlight=False, markup=False, soft_wrap=True)
        minutes = (time.monotonic() - began) / 60
        console.print(f"that took {minutes:.1f} minutes", highlight=False)
    return outcome


def _stages(
    folder: DemoFolder, scale: Scale, *, seed: int, device: str, console: Console
) -> Outcome:
    if not folder.prepared:
        if not (folder.path / SPLIT_FILE).exists():
            console.print("1. generating videos of moving shapes", highlight=False)
            generate(folder.path, per_class=scale.per_class, seed=seed)
        console.print("2. preparing them", highlight=False)
        _prepare(folder, console)
    store = Store(folder.store)
    classes = {split: len(store.classes(split)) for split in ("train", "test")}
    console.print(f"3. training from scratch on {classes['train']} actions", highlight=False)
    run = _train(folder, _config(scale, seed), store, device=device, console=console)
    console.print(f"4. evaluating on {classes['test']} actions never seen", highlight=False)
    return test_network(run, store, folder, episodes=scale.test_episodes, device=device)


def _prepare(folder: DemoFolder, console: Console) -> None:
    kind, root = DATASETS["folder"], folder.path / "videos"
    counts = dict.fromkeys(("train", "val", "test"))
    rule = make_split_rule(kind, counts=counts, file=folder.path / SPLIT_FILE, seed=0)
    prep_settings = PrepSettings(
        root=root.absolute(),
        store=folder.store.absolute(),
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


def _train(
    folder: DemoFolder, config: Config, store: Store, *, device: str, console: Console
) -> Run:
    """Train, or go on with a run that was stopped; leave alone one that has ended."""
    run = Run(folder.run)
    resume = run.last if (run.path / "config.json").exists() else None
    if run.last.exists():
        done = checkpoint.load(run.last).progress.episode
        if done >= config.training.episodes:
            return run
        console.print(f"   from episode {done} on", highlight=False)
    trained = train(config, store, run=run, device=device, resume=resume, console=console)
    if trained.exit_code:
        console.print(STOPPED, highlight=False)
        raise SystemExit(trained.exit_code)
    return run
