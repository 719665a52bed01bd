"""The words of ``tasd train --dry-run``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasd.cli.say import say, say_json

if TYPE_CHECKING:
    from tasd.config import Config
    from tasd.features.store import FeatureStore
    from tasd.runs.folder import Run
    from tasd.store import Store
    from tasd.training.rehearsed import Rehearsal


def say_rehearsal(
    config: "Config",
    store: "Store | FeatureStore",
    run: "Run",
    *,
    device: str,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Rehearse a run and print what it will take; one rank prints. Raises `UserError`."""
    from tasd.cli.after_training import leads
    from tasd.training.rehearsal import rehearse

    found = rehearse(config, store, run=run, device=device, resume=resume)
    if not leads():
        return
    if as_json:
        say_json(found.as_json(), indent=1)
    else:
        say("\n".join(f"{name:<12}{text}" for name, text in _rows(found)))


def _rows(found: "Rehearsal") -> Iterator[tuple[str, str]]:
    from tasd.progress import counted, duration
    from tasd.training.state import mib

    config, tested, disk = found.config, found.validation, found.disk
    episode, network, training = config.episode, config.network, config.training
    yield "dry run", "nothing is written; a few steps were tried"
    yield "run", f"{found.run}"
    yield (
        "recipe",
        f"{config.recipe} on {config.dataset} ({found.store}), {episode.way}-way "
        f"{episode.shot}-shot, {counted(episode.queries, 'query')} per class",
    )
    here = "" if found.weights_here else ", not on this machine yet: they are downloaded first"
    yield "network", f"{network.backbone}, weights {network.weights}{here}; {config.matcher.name}"
    ranks = f" on each of {found.ranks} ranks" if found.ranks > 1 else ""
    yield (
        "device",
        f"{found.device}{ranks}, {training.precision}, {counted(found.threads, 'thread')}",
    )
    yield (
        "time",
        f"about {duration(found.seconds.clock)} ({found.seconds.clock / 3600:.2f} hours): "
        f"{counted(found.episodes, 'episode')} of {found.episode.clock:.2f} s, "
        f"{counted(tested.times, 'validation')} of {duration(tested.seconds.clock)}; "
        f"{duration(found.seconds.processors)} of the processors",
    )
    kind = "main memory"
    if found.device != "cpu":
        kind = (
            "of the GPU, about 1 GiB more for CUDA; main memory for the copy that a save is "
            f"written from, {mib(disk.last)} to {mib(2 * disk.last)}"
        )
    yield "memory", f"{mib(found.memory)}, {kind}"
    room = f"{mib(disk.free)} are free"
    if disk.free < disk.most:
        room += "; that is too little: make room, or choose another place with --out"
    yield (
        "disk",
        f"{mib(disk.end)} of checkpoints at the end (last.pt {mib(disk.last)}, best.pt "
        f"{mib(disk.best)}), at most {mib(disk.most)} before; {room}",
    )
    yield (
        "validation",
        f"{counted(tested.episodes, 'episode')}, {tested.way}-way {tested.shot}-shot, of "
        f"{counted(tested.classes, 'class')} and {counted(tested.videos, 'video')}",
    )
    for remark in found.remarks:
        yield "note", remark
