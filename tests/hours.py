"""The table of docs/hours.md from the recipes and the measured step: ``python -m tests.hours``."""

import functools
from collections.abc import Iterator

import torch

from tasd import recipes
from tasd.config import Config
from tasd.recipes import RECIPES
from tasd.training.distributed import World
from tasd.training.learner import build_learner
from tasd.training.plan import default_interval, resolve, training_plan
from tasd.training.state import checkpoint_bytes, most_bytes

# Measured on one NVIDIA H200 (BENCHMARKS.md, "On a GPU"): seconds of a step of 240 frames, with a
# ResNet-50 at 224 pixels in bf16; GiB of the card by frames; seconds of a video in a test.
STEP = {True: 0.100, False: 0.079}  # with distillation, without
MEMORY = {240: 13.9, 320: 18.0}
VIDEO = 15 / 2400
# Videos of the validation classes: 100 a class where a list says so, else the mean of a class.
VALIDATION = {"kinetics": 12 * 100, "ucf101": 10 * 13320 // 101, "hmdb51": 10 * 6766 // 51}
VALIDATION["ssv2"] = 12 * 100
# The backbone of these figures; others have to be rehearsed.
MEASURED = ("resnet50", 224)


def frames_of(config: Config) -> int:
    """Frames of an episode that the student sees."""
    shape = config.episode
    second = {"CS": 0, "SS": shape.shot, "QS": shape.queries}[config.distill.ce_pairs]
    again = second if config.distill.ce else 0
    return shape.way * (shape.shot + shape.queries + again) * config.data.frames


def training_hours(config: Config) -> float:
    step = STEP[bool(config.distill.weights)] * frames_of(config) / 240
    return config.training.episodes * step / 3600


def validation_hours(config: Config, dataset: str) -> float:
    episodes = config.training.episodes
    every = config.training.validation_every or default_interval(episodes)
    times, networks = 1 + -(-episodes // every), 1 + bool(config.distill.weights)
    return times * networks * VALIDATION[dataset] * VIDEO / 3600


def memory(config: Config) -> float:
    slope = (MEMORY[320] - MEMORY[240]) / (320 - 240)
    return MEMORY[240] + slope * (frames_of(config) - 240)


def disk(config: Config) -> int:
    """Bytes of all checkpoints at most, for 64 training classes."""
    return _disk(config.model_copy(update={"dataset": "folder"}).model_dump_json())


@functools.cache  # most data sets have the same networks
def _disk(text: str) -> int:
    config = Config.model_validate_json(text)
    with torch.device("meta"):
        learner = build_learner(config, classes=tuple(map(str, range(64))), initialise=False)
    networks = {"student": learner.student}
    networks |= {"teacher": learner.student} if config.distill.weights else {}
    world = World(0, 1, torch.device("cpu"))
    plan = training_plan(resolve(config, world), world)
    last, best = checkpoint_bytes(config, learner, networks)
    return most_bytes(last, best, kept=plan.kept)


def rows() -> Iterator[str]:
    """Yield a row for each recipe and shot; data sets with the same numbers share one."""
    for recipe in RECIPES:
        for shot in (1, 5):
            alike: dict[tuple[str, ...], list[str]] = {}
            for dataset in VALIDATION:
                config = recipes.make(recipe, dataset=dataset, shot=shot)
                alike.setdefault(figures(config), []).append(dataset)
            for found, datasets in alike.items():
                if recipe != "demo":
                    names = "all" if len(datasets) == len(VALIDATION) else ", ".join(datasets)
                    yield f"| `{recipe}` | {names} | {shot} | {' | '.join(found)} |"


def figures(config: Config) -> tuple[str, ...]:
    """Episodes, frames of one, hours of training and validation, GiB of the card and the disk."""
    gib = f"{disk(config) / 2**30:.1f}"
    begin = (f"{config.training.episodes:,}", f"{frames_of(config)}")
    if (config.network.backbone, config.data.crop) != MEASURED:
        return (*begin, "not measured", "not measured", "not measured", gib)
    longest = max(validation_hours(config, dataset) for dataset in VALIDATION)
    return (*begin, f"{training_hours(config):.1f}", f"{longest:.1f}", f"{memory(config):.0f}", gib)


if __name__ == "__main__":
    print("\n".join(rows()))
