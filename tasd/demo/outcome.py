"""The test of the demo's network: accuracy on unseen actions beside controls, and one episode."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from tasd.demo.folder import DemoFolder
from tasd.demo.sheet import Strip, contact_sheet
from tasd.device import pick_device
from tasd.episodes import View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.metrics import Interval, episode_interval
from tasd.evaluation.results import write_document
from tasd.evaluation.score import Result, score
from tasd.extraction.extract import extract
from tasd.extraction.run import Extraction
from tasd.files import read_json, write_bytes, write_json
from tasd.loader import open_views
from tasd.model import Model
from tasd.report import OverlayOptions, write_report
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store

FORMAT, VERSION = "tasd-demo-outcome", 1


@dataclass(frozen=True)
class Outcome:
    """Accuracies on the unseen actions by the name of what was tested, and the best network.

    files: the picture of an episode, then those of the report, relative to the demo's folder.
    """

    accuracies: Mapping[str, Interval]
    best: str
    files: tuple[str, ...]


def test_network(
    run: Run, store: Store, folder: DemoFolder, *, episodes: int, device: str
) -> Outcome:
    """Test the network of ``run``, draw its report, and write the outcome last."""
    device = str(pick_device(device))
    saved = checkpoint.load(run.best)
    candidate = of_run(run, saved, store, Extraction(device=device), source=run.best)
    tested = evaluate(
        candidate, EpisodeRequest(way=5, shot=1, queries=1, count=episodes), device=device
    )
    write_document(run.evaluation / f"{tested.name}.json", tested.content)
    results = candidate.score(tested.episodes, device=device)
    trained = checkpoint.networks(saved)[candidate.chosen]
    first = checkpoint.load(run.checkpoints / "episode-000000.pt")
    untrained = checkpoint.networks(first)["student"]
    one_frame = f"{candidate.chosen}, one frame shown eight times"
    every = {
        "untrained": _score(untrained, store, tested.episodes, folder.path, device),
        **results,
        one_frame: _score(trained, store, tested.episodes, folder.path, device, one_frame=True),
    }
    picture = folder.path / "episode.png"
    _draw_episode(results[candidate.chosen], store, picture, saved.config.data.crop)
    overlays = OverlayOptions(store=Path(store.path))
    report = write_report([run.path], folder.path / "report", overlays)
    outcome = Outcome(
        {name: episode_interval(result.accuracy) for name, result in every.items()},
        candidate.chosen,
        tuple(str(path.relative_to(folder.path)) for path in (picture, *report.files)),
    )
    write_json(folder.outcome, {"format": FORMAT, "version": VERSION, **asdict(outcome)}, indent=2)
    return outcome


def read_outcome(folder: DemoFolder) -> Outcome:
    """Read what `test_network` wrote. Raises `UserError`."""
    content = read_json(
        folder.outcome,
        format=FORMAT,
        version=VERSION,
        what="the outcome of a demo",
        way_out="delete it, and tasd demo tests its network again",
    )
    found = {name: Interval(**interval) for name, interval in content["accuracies"].items()}
    return Outcome(found, content["best"], tuple(content["files"]))


def table(outcome: Outcome, *, quick: bool) -> Table:
    """Make the table of all accuracies; the chosen network has a star."""
    made = Table(
        title="5-way 1-shot on actions never seen in training (chance: 20 %)",
        caption="a quick run: train longer, without --quick, for a real result" if quick else None,
    )
    made.add_column("network")
    made.add_column("accuracy", justify="right")
    made.add_column("95 % interval", justify="right")
    for name, interval in outcome.accuracies.items():
        mark = " *" if name == outcome.best else ""
        ends = f"{interval.low:.1%} - {interval.high:.1%}"
        made.add_row(name + mark, f"{interval.mean:.1%}", ends)
    return made


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


def _draw_episode(result: Result, store: Store, path: Path, crop: int) -> None:
    """Draw the first of the episodes whose accuracy is nearest to the median."""
    median = float(np.median(result.accuracy))
    index = int(np.argmin(np.abs(result.accuracy - median)))
    episodes = result.episodes
    members = [*episodes.support[index].ravel(), *episodes.query[index].ravel()]
    views = [evaluation_view(episodes.videos[row], 8) for row in members]
    pixels = next(iter(open_views(store, [views], size=crop, device="cpu", kind="torch")))
    truth = [episodes.classes[episodes.video_class[row]] for row in members]
    predicted = [None] * episodes.way + [episodes.classes[c] for c in result.predicted[index]]
    strips = [Strip(*strip) for strip in zip(pixels.numpy(), truth, predicted, strict=True)]
    title = "five actions never seen in training, one example of each"
    file = io.BytesIO()
    contact_sheet(strips[: episodes.way], strips[episodes.way :], title=title).save(file, "png")
    write_bytes(path, file.getvalue())
