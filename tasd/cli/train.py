"""``tasd train``: options -> config, store and run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tasd.config import Config
    from tasd.features.store import FeatureStore
    from tasd.store import Store

# Options, and the setting that each one replaces.
SETTINGS = {
    "way": "episode.way",
    "shot": "episode.shot",
    "queries": "episode.queries",
    "episodes": "training.episodes",
    "episodes_per_step": "training.episodes_per_step",
    "seed": "training.seed",
    "backbone": "network.backbone",
    "weights": "network.weights",
    "matcher": "matcher.name",
    "crop": "data.crop",
    "loader": "data.loader",
    "precision": "training.precision",
}


def train(
    store: Annotated[
        Path | None, typer.Option(help="Prepared store; default: the only one there is.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of a frozen backbone in place of frames; see tasd features."),
    ] = None,
    way: Annotated[int | None, typer.Option(help="Classes of an episode.")] = None,
    shot: Annotated[int, typer.Option(help="Support videos of each class.")] = 1,
    queries: Annotated[int | None, typer.Option(help="Query videos of each class.")] = None,
    recipe: Annotated[
        str, typer.Option(help="tasd, paper, baseline, or a method of tasd matchers.")
    ] = "tasd",
    episodes: Annotated[int | None, typer.Option(help="Training episodes.")] = None,
    episodes_per_step: Annotated[
        int | None, typer.Option(help="Episodes of one optimiser step, over all GPUs.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="One of tasd backbones: resnet50, mobilenet_v2, ..., or timm/NAME."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="'imagenet' (of timm its own weights), 'none', or the file of a state dict."
        ),
    ] = None,
    matcher: Annotated[str | None, typer.Option(help="One of tasd matchers.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crop in pixels.")] = None,
    loader: Annotated[str | None, typer.Option(help="auto, dali or torch.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or float32.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Seed of episodes, weights and dropout.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: below runs/.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="A run, or one of its checkpoints, to continue.")
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Trackers: tensorboard (default), wandb, mlflow, several with commas, or none."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: --set distill.ce_pairs=SS, as in config.json."),
    ] = None,
    on_nonfinite: Annotated[
        str, typer.Option(help="'stop', or 'skip N': tolerate N steps whose loss is not finite.")
    ] = "stop",
    allow_pretrained_overlap: Annotated[
        bool,
        typer.Option(help="Accept weights whose training classes contain the test classes."),
    ] = False,
) -> None:
    """Train on the training classes; keep the best on validation.

    Bare `tasd train` takes the only store there is and trains the paper's method on it with an
    ImageNet ResNet-50 on crops of 224 pixels, 5-way 1-shot with 5 queries, for 30,000 episodes.
    The recipe decides what is not given. Several GPUs: torchrun -m tasd train ...
    """
    given: dict[str, Any] = {
        name: value for name, value in locals().items() if name in SETTINGS and value is not None
    }
    import sys

    from tasd.config import parse_setting
    from tasd.runs.folder import Run, new_path
    from tasd.runs.tracking import trackers_called
    from tasd.training.loop import train as run_training

    trackers = None if log is None else trackers_called(log)
    overrides = [(SETTINGS[name], value) for name, value in given.items()]
    overrides += [parse_setting(text) for text in set_ or []]
    if allow_pretrained_overlap:
        overrides.append(("network.allow_pretrained_overlap", True))
    if on_nonfinite != "stop":
        overrides.append(("training.skip_nonfinite", _tolerated(on_nonfinite)))
    if resume is not None:
        run, checkpoint, config = _resumed(resume, given, set_ or [])
        opened = _open(store, features or config.data.features)
    else:
        opened = _open(store, features)
        config = _config(recipe, opened, shot, overrides)
        run, checkpoint = Run(out or new_path(config)), None
    trained = run_training(
        config,
        opened,
        run=run,
        device=device,
        resume=checkpoint,
        numbered=resume is None and out is None,
        command=sys.argv,
        trackers=trackers,
    )
    raise typer.Exit(trained.exit_code)


def _config(
    recipe: str,
    opened: "Store | FeatureStore",
    shot: int,
    overrides: list[tuple[str, Any]],
) -> "Config":
    from tasd import recipes
    from tasd.features.store import FeatureStore
    from tasd.training.frozen import on_features

    whole = [setting for setting in overrides if setting[0] == "distill"]
    config = recipes.make(recipe, dataset=opened.dataset, shot=shot, settings=whole)
    if isinstance(opened, FeatureStore):
        config = on_features(config, opened)
        typer.echo(
            "frozen backbone: encoder and matcher learn from cached features; of the distillation "
            "only Eq. 2 is left, where the recipe has it"
        )
    return recipes.change(config, [setting for setting in overrides if setting[0] != "distill"])


def _open(store: Path | None, features: str | Path | None) -> "Store | FeatureStore":
    """Open the store of frames, or the file of features where one is named."""
    from tasd.errors import UserError
    from tasd.features.reader import open_features
    from tasd.home import only_store
    from tasd.store import Store

    if features is None:
        return Store(store if store is not None else only_store())
    if store is not None:
        raise UserError("--store and --features exclude each other; give one of them")
    return open_features(Path(features))


def _resumed(path: Path, given: dict[str, Any], settings: list[str]) -> Any:
    """Return the run, its checkpoint and its config; refuse settings other than its own."""
    from tasd.errors import UserError
    from tasd.runs.checkpoint import peek
    from tasd.runs.folder import Run

    named = sorted(given.keys() - {"shot"}) + [f"set {text}" for text in settings]
    if named:
        raise UserError(
            f"--resume {path} keeps the settings of that run; leave out --{named[0]}, or start a "
            "new run without --resume"
        )
    if path.is_dir() or not path.exists():
        run = Run(path)
        run.config()  # refuses a folder that is not a run
        checkpoint = run.last
    else:
        checkpoint, run = path, Run(path.parent.parent)
    # A run that ended before its first save begins again, with its own settings.
    return run, checkpoint, run.config() if run.unsaved else peek(checkpoint).config


def _tolerated(text: str) -> int:
    from tasd.errors import UserError

    word, _, number = text.partition(" ")
    if word != "skip" or not number.strip().isdigit():
        raise UserError(f"--on-nonfinite {text!r}: use 'stop', or 'skip N' with a number N")
    return int(number)
