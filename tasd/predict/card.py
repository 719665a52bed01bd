"""Model cards: README.md of an export, with the front matter that hubs of models read."""

import html
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from tasd import __version__, backbones
from tasd.backbones.packaged import Packaged
from tasd.config import Config
from tasd.errors import UserError
from tasd.evaluation.results import read_document
from tasd.files import as_json, write_text
from tasd.foreign import clean, remark
from tasd.predict.trained import TrainedNetwork

CARD = "README.md"
UNKNOWN = "unknown"  # the licence of hubs for "not said"
UNNAMED = '"FOLDER OR REPOSITORY"'
BEGIN = "---\nlibrary_name: tasd"
MARKS = "\\`*_{}[]()#+!|~"


def write_card(trained: TrainedNetwork, folder: Path, *, licence: str = UNKNOWN) -> Path:
    """Write the card of an export of ``trained`` into its folder. Raises `UserError`.

    licence: of the trained network, as hubs name it.
    """
    path = folder / CARD
    refuse_others(folder)
    results = results_of(trained.path, trained.identity)
    write_text(path, model_card(trained, results, licence=licence))
    return path


def refuse_others(folder: Path) -> None:
    """Raise `UserError` for a file, and a folder with a README.md or weights of another origin."""
    path = folder / CARD
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, and an export is a folder; give another --out")
    try:
        ours = path.exists() and path.read_text("utf-8").startswith(BEGIN)
    except (OSError, ValueError):
        ours = False
    there = [name for name in (CARD, "model.safetensors") if (folder / name).exists()]
    if there and not ours:  # an export that was killed has its card, which is written first
        raise UserError(
            f"{folder / there[0]} is of no export of tasd and would be lost; "
            "give --out a new folder"
        )


def name_in_card(folder: Path, repo: str) -> None:
    """Write the name of a repository into the lines of a card that use the network.

    A card whose lines name something else already, or of another hand, stays. Raises `UserError`.
    """
    path = folder / CARD
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError):
        return
    if UNNAMED in text:
        write_text(path, text.replace(UNNAMED, as_json(repo, ascii=True)))


def results_of(run: Path, identity: str) -> list[Mapping[str, Any]]:
    """Read the results of one checkpoint of a run, the newest last; damaged files are told."""
    found: list[Mapping[str, Any]] = []
    for path in sorted((run / "evaluation").glob("*.json"), key=lambda one: one.stat().st_mtime):
        if "-against-" in path.name:
            continue
        try:
            result = read_document(path)
        except UserError as error:
            remark(f"not in the model card: {error}")
            continue
        origin = result["provenance"]
        own = origin.get("checkpoint", {}).get("sha256") == identity
        if own and origin.get("matcher") == origin.get("config", {}).get("matcher", {}).get("name"):
            found.append(result)
    return found


def model_card(
    trained: TrainedNetwork,
    results: Sequence[Mapping[str, Any]],
    *,
    licence: str = UNKNOWN,
) -> str:
    """Return the text of a card. results: content of result files of this very network."""
    rows = list(_rows(trained, results))
    parts = [
        _front(trained.config, licence),
        *_about(trained, licence),
        *_use(),
        *_accuracy(rows),
        *_data(trained),
        *_limits(trained, tested=bool(rows)),
    ]
    return "\n".join(parts)


def _front(config: Config, licence: str) -> str:
    """The front matter, as YAML: JSON strings are valid there whatever they hold."""
    tags = ["few-shot-learning", "action-recognition", "video", "tasd", config.matcher.name]
    lines = [BEGIN, f"license: {as_json(licence, ascii=True)}"]
    lines += ["pipeline_tag: video-classification", "tags:"]
    return "\n".join([*lines, *(f"- {as_json(tag, ascii=True)}" for tag in tags), "---", ""])


def _about(trained: TrainedNetwork, licence: str) -> list[str]:
    config = trained.config
    network, episode = config.network, config.episode
    said = f"the licence `{plain(licence)}`" if licence != UNKNOWN else "no licence yet"
    return [
        f"# {plain(network.backbone)} with {plain(config.matcher.name)}, few-shot action "
        "recognition",
        "",
        "This network tells classes of actions apart that it was not trained on, from a few clips "
        "of each. It is a backbone, a temporal encoder and a matcher, exported by tasd "
        f"{__version__}.",
        "",
        "| | |",
        "|---|---|",
        f"| trained on | {plain(config.dataset)}, {len(trained.classes)} classes |",
        f"| recipe | {plain(config.recipe)}, {episode.way}-way {episode.shot}-shot, "
        f"{config.training.episodes:,} episodes |",
        f"| network | the {trained.kind} of the run |",
        f"| backbone | {plain(network.backbone)}, weights `{_shown(network.weights)}`: "
        f"{weights_licence(config)} |",
        f"| input | {config.data.frames} frames of a clip, crops of {config.data.crop} pixels |",
        f"| licence | its author has given it {said} |",
        f"| checkpoint | sha256 `{trained.identity}` |",
        "",
    ]


def _use() -> list[str]:
    return [
        "## Use",
        "",
        "```python",
        "from tasd.predict import FewShotRecognizer",
        f'recognizer = FewShotRecognizer.from_pretrained({UNNAMED}).fit("my-actions")',
        'print(recognizer.predict(["new.mp4"]))',
        "```",
        "",
        "`my-actions` is a folder `<class>/<clips>` with a few clips of each class.",
        "",
    ]


def _rows(trained: TrainedNetwork, results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        network = result["networks"].get(trained.network)
        if network is None:
            continue
        origin, episodes = result["provenance"], result["episodes"]
        split, seen = origin["split"], origin.get("trained_and_tested")
        where = f"{plain(origin['dataset'])}, {split['classes']} classes of {plain(split['name'])}"
        kind = f"{episodes['way']}-way {episodes['shot']}-shot, {episodes['count']:,} episodes"
        ends = network["interval95"]
        floor = result.get("floor")
        yield (
            "| "
            + " | ".join(
                [
                    where + (" (**also trained on**)" if seen else ""),
                    kind,
                    f"{network['accuracy']:.2%}",
                    _ends(ends.get("sampling of episodes only")),
                    _ends(ends.get("other classes")),
                    f"{floor['accuracy']:.2%}" if floor else "not measured",
                ]
            )
            + " |"
        )


def _ends(ends: Sequence[float] | None) -> str:
    return f"{100 * ends[0]:.2f} - {100 * ends[1]:.2f}" if ends else UNKNOWN


def _accuracy(rows: Sequence[str]) -> list[str]:
    if not rows:
        return ["## Accuracy", "", "Not measured before this export.", ""]
    return [
        "## Accuracy",
        "",
        "On classes that were not trained on, where nothing else is said. The intervals are of "
        "95 %: over the sampling of episodes alone, and over other classes.",
        "",
        "| data | test | accuracy | episodes only | other classes | backbone alone |",
        "|---|---|---|---|---|---|",
        *dict.fromkeys(rows),
        "",
    ]


def _data(trained: TrainedNetwork) -> list[str]:
    names = ", ".join(plain(name) for name in trained.classes)
    return ["## Classes trained on", "", names, ""]


def _limits(trained: TrainedNetwork, *, tested: bool) -> list[str]:
    shares = "- Shares compare the classes of the support with one another; a clip of something "
    shares += "else has shares too."
    reject = [f"- {threshold.summary}." for threshold in trained.thresholds]
    untested = [] if tested else ["- Its accuracy is unknown: it was not tested."]
    return [
        "## Limits",
        "",
        *untested,
        shares,
        *(reject or ['- It carries no threshold to answer "none of these".']),
        f"- The data set {plain(trained.config.dataset)} decides what it is good for; clips of "
        "another kind may be told apart worse. Test it on clips of your own.",
        "",
    ]


def weights_licence(config: Config) -> str:
    """Return in a few words where the backbone's first weights are from, and their licence."""
    name, source = config.network.backbone, config.network.weights
    if source == "none":
        return "random at the start of training"
    published = backbones.described(name).pretrained.get(source)
    if published is None:
        return "a file of the author's, of a licence that is not known here"
    if isinstance(published.weights, Packaged):
        package = published.weights.package
        return f"of the package {package}, {_package_licence(package.partition('==')[0])}"
    if name.startswith("timm/"):
        return f"of timm, {_timm_licence(name)}"
    return (
        f"of torchvision, {_package_licence('torchvision')}; the data that they were trained on "
        "has terms of its own"
    )


def _package_licence(package: str) -> str:
    try:
        found: Any = metadata(package)
    except PackageNotFoundError:
        return "which is not installed here, so its licence is not known"
    named = found.get("License-Expression") or found.get("License") or ""
    known = named.strip() and named.strip().upper() != "UNKNOWN"
    return f"licence {plain(named.splitlines()[0])}" if known else "which names no licence"


def _timm_licence(name: str) -> str:
    from tasd.backbones.timm_models import library

    config = library().models.get_pretrained_cfg(name.removeprefix("timm/"))
    named = getattr(config, "license", None)
    return f"licence {plain(named)}" if named else "which names no licence for them"


def _shown(weights: str) -> str:
    """The name of weights; of a file its last part, since folders may be private."""
    return plain(Path(weights).name)


def plain(text: object) -> str:
    """Return a name as text of Markdown that is only shown: no links, marks, HTML or controls."""
    escaped = "".join(f"\\{c}" if c in MARKS else c for c in clean(text))
    return html.escape(escaped, quote=False)
