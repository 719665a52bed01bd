"""``tasd train``: options -> config, store and run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasd.cli.say import say
from tasd.errors import Mistakes
from tasd.registry import OPTIONS, SettingName

if TYPE_CHECKING:
    from tasd.config import Config
    from tasd.features.store import FeatureStore
    from tasd.runs.folder import Run
    from tasd.store import Store

# Options, and the setting that each one replaces.
SETTINGS: dict[str, SettingName] = {
    name.typed.removeprefix("--").replace("-", "_"): name for name in OPTIONS.values()
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
    no_verify: Annotated[
        bool,
        typer.Option("--no-verify", help="Do not compare the store with its digests meanwhile."),
    ] = False,
    allow_pretrained_overlap: Annotated[
        bool,
        typer.Option(help="Accept weights whose training classes contain the test classes."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Try a few steps, print hours, memory and disk of the run, and write nothing.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
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

    from tasd.cli.after_training import leads, next_command
    from tasd.cli.dry_run import say_rehearsal
    from tasd.cli.options import refuse
    from tasd.progress import PhaseLine

    with PhaseLine(silent=not (leads() and sys.stdout.isatty())) as phase, Mistakes() as mistakes:
        phase("opening the store, checking the settings")  # torch alone takes seconds to import

        def tell(text: str) -> None:
            """Print to standard error: standard output is the JSON of a dry run."""
            phase.end()  # else the text would stand behind the bar
            say(text, err=True)

        from tasd.device import pick_device
        from tasd.runs.folder import Run, new_path
        from tasd.runs.tracking import trackers_called
        from tasd.training.loop import train as run_training
        from tasd.training.mistakes import refuse_mistakes

        if as_json and not dry_run:
            mistakes.of(refuse, ["json"], "has no effect without --dry-run")
        mistakes.of(pick_device, device)
        tolerated = mistakes.of(_tolerated, on_nonfinite)
        trackers = None if log is None else mistakes.of(trackers_called, log)
        if resume is not None:
            resumed = mistakes.of(_resumed, resume, given, set_ or [], tell)
            if resumed is not None:
                run, checkpoint, config = resumed
                opened = mistakes.of(_open, store, features or config.data.features)
        else:
            overrides = settings_of(given, set_ or [], mistakes)
            if allow_pretrained_overlap:
                overrides.append(("network.allow_pretrained_overlap", True))
            if tolerated:
                overrides.append(("training.skip_nonfinite", tolerated))
            opened = mistakes.of(_open, store, features)
            config = _config(recipe, opened, shot, overrides, mistakes, tell)
            run, checkpoint = Run(out or new_path(config)), None
            if out is not None:
                mistakes.of(run.refuse_others)
            mistakes.of(refuse_mistakes, config, opened)
    assert opened is not None
    if dry_run:
        say_rehearsal(config, opened, run, device=device, resume=checkpoint, as_json=as_json)
        return
    trained = run_training(
        config,
        opened,
        run=run,
        device=device,
        resume=checkpoint,
        numbered=resume is None and out is None,
        verify=not no_verify,
        command=sys.argv,
        trackers=trackers,
    )
    if not trained.exit_code and leads():
        say(f"next: {next_command(trained.run, opened)}")
    raise typer.Exit(trained.exit_code)


def settings_of(
    given: Mapping[str, Any], texts: Sequence[str], mistakes: Mistakes
) -> list[tuple[str, Any]]:
    """Return the settings of options and of ``--set``, each with the name that was typed.

    given: values by the names of `SETTINGS`. Of a ``--set`` that cannot be read a mistake is kept.
    """
    from tasd.recipes.settings import parse_setting

    found: list[tuple[str, Any]] = [(SETTINGS[name], value) for name, value in given.items()]
    parsed = [mistakes.of(parse_setting, text) for text in texts]
    return found + [setting for setting in parsed if setting is not None]


def _config(
    recipe: str,
    opened: "Store | FeatureStore | None",
    shot: int,
    overrides: list[tuple[str, Any]],
    mistakes: Mistakes,
    tell: Callable[[str], None],
) -> "Config":
    """Return the config; where something is wrong with it, one without that and a mistake more."""
    from tasd import recipes
    from tasd.features.store import FeatureStore
    from tasd.recipes.settings import accepted
    from tasd.training.frozen import on_features

    whole = [setting for setting in overrides if setting[0] == "distill"]
    dataset = "folder" if opened is None else opened.dataset
    config = mistakes.of(recipes.make, recipe, dataset=dataset, shot=max(1, shot), settings=whole)
    if config is None:
        config = recipes.make("tasd", dataset=dataset, shot=max(1, shot))
    if isinstance(opened, FeatureStore):
        config = on_features(config, opened)
        tell(
            "frozen backbone: encoder and matcher learn from cached features; of the distillation "
            "only Eq. 2 is left, where the recipe has it"
        )
    single = [setting for setting in overrides if setting[0] != "distill"]
    changed = mistakes.of(recipes.change, config, single)
    return recipes.change(config, accepted(config, single)) if changed is None else changed


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


def _resumed(
    path: Path, given: dict[str, Any], settings: list[str], tell: Callable[[str], None]
) -> Any:
    """Return the run, its checkpoint and its config; refuse settings other than its own."""
    from tasd.cli.after_training import leads
    from tasd.errors import UserError
    from tasd.runs.checkpoint import Progress, peek
    from tasd.runs.folder import Run
    from tasd.training.length import length_changes, with_length

    named = sorted(name.replace("_", "-") for name in given.keys() - {"shot", "episodes"})
    named += [f"set {text}" for text in settings]
    if named:
        raise UserError(
            f"--resume {path} keeps the settings of that run; leave out "
            f"{', '.join(f'--{name}' for name in named)}, or start a new run without --resume"
        )
    if path.is_dir() or not path.exists():
        run = Run(path)
        run.config()  # refuses a folder that is not a run
        checkpoint = run.last
    else:
        checkpoint, run = path, Run(path.parent.parent)
    if run.unsaved:  # it begins again, with its own settings
        config, now = run.config(), Progress()
    else:
        noted = peek(checkpoint)
        config, now = _as_last_resumed(run, noted.config), noted.progress
    if "episodes" in given:
        changed = with_length(config, given["episodes"], now, source=checkpoint)
        if not run.unsaved and leads():
            tell("\n".join(length_changes(config, changed, now)))
        config = changed
    return run, checkpoint, config


def _as_last_resumed(run: "Run", config: "Config") -> "Config":
    """Return the config of a checkpoint, with the length that the run was resumed with since."""
    from tasd.errors import UserError
    from tasd.recipes.settings import replace

    try:
        episodes = run.config().training.episodes
    except UserError:  # damaged: the checkpoint holds the config too
        return config
    return replace(config, [("training.episodes", episodes)])


def _tolerated(text: str) -> int:
    from tasd.errors import UserError

    if text == "stop":
        return 0
    word, _, number = text.partition(" ")
    if word != "skip" or not number.strip().isdigit():
        raise UserError(f"--on-nonfinite {text!r}: use 'stop', or 'skip N' with a number N")
    return int(number)
