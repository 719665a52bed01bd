"""Run folders as training and evaluation write them, made without running either."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tasd import recipes
from tasd.config import Config
from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.results import document, write_document
from tasd.evaluation.score import Result
from tasd.evaluation.summary import summary_of
from tasd.recipes.settings import replace

NAMES = [f"action {letter}" for letter in "abcdefghijklmnopqrstuvwx"]


def config_of(recipe: str = "tasd", dataset: str = "kinetics", **settings: Any) -> Config:
    made = recipes.make(recipe, dataset=dataset, shot=1)
    return replace(made, [(key.replace("__", "."), value) for key, value in settings.items()])


def result_of(skill: float, *, classes: int = 24, count: int = 400, seed: int = 0) -> Result:
    """Draw random scores; the true class gets a bonus whose size depends on the class."""
    videos = {name: [f"{name}/{i}" for i in range(12)] for name in NAMES[:classes]}
    table = EpisodeTable.draw(EpisodeSampler(videos, 5, 1, 2, count, 0))
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 10, 5)).astype(np.float32)
    ease = np.random.default_rng(99).normal(skill, 0.7, classes)
    truth = np.repeat(np.arange(5), 2)
    for e in range(count):
        logits[e, np.arange(10), truth] += ease[table.chosen[e][truth]]
    return Result(table, logits)


def metrics_lines(episodes: int, terms: tuple[str, ...]) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    lines: list[dict[str, Any]] = []
    for episode in range(1, episodes + 1):
        fade = math.exp(-3 * episode / episodes)
        smooth = {name: (0.2 + fade) / 3**i for i, name in enumerate(terms)}
        noisy = {name: value * random.lognormal(0, 0.2) for name, value in smooth.items()}
        lines.append(
            {
                "kind": "train",
                "episode": episode,
                "loss": sum(noisy.values()),
                "accuracy": float(np.clip(0.85 - 0.5 * fade + random.normal(0, 0.08), 0, 1)),
                "terms": {n: {"raw": v, "weighted": v / 2} for n, v in noisy.items()},
                "learning_rate": 5e-4 * fade,
                "wait_share": 0.01,
            }
        )
        if episode % (episodes // 12) == 0:
            student, teacher = 0.75 - 0.4 * fade, 0.78 - 0.45 * fade
            networks = {"student": {"accuracy": student, "half": 0.02}}
            networks["teacher"] = {"accuracy": teacher, "half": 0.02}
            lines.append({"kind": "validation", "episode": episode, **networks})
            norms = {n: {"maps": v / 10, "frames": v / 30} for n, v in noisy.items()}
            lines.append({"kind": "gradients", "episode": episode, "terms": norms})
    return lines


def write_run(
    folder: Path,
    *,
    config: Config | None = None,
    skill: float = 1.2,
    tested: bool = True,
    episodes: int = 1200,
    networks: tuple[str, ...] = ("student", "teacher"),
) -> Path:
    config = config or config_of()
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.save_text())
    terms = ("metric", "auxiliary", *config.distill.weights)
    lines = metrics_lines(episodes, terms)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if tested:
        results = {name: result_of(skill, seed=i) for i, name in enumerate(networks)}
        content = document(
            {name: summary_of([result], result.episodes) for name, result in results.items()},
            next(iter(results.values())).episodes,
            chosen=networks[-1],
            provenance={"checkpoint": {"episode": 1100}, "matcher": config.matcher.name},
        )
        write_document(folder / "evaluation" / "test-5w1s-2q-400e-seed0.json", content)
    return folder
