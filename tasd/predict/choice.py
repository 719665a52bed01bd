"""The choice of the network that labels clips: a run, an export or a pretrained backbone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasd.backbones import DEFAULT_BACKBONE
from tasd.errors import UserError
from tasd.predict.export import is_export, read_export
from tasd.predict.trained import UNTRAINED, TrainedNetwork, trained_network
from tasd.predict.untrained import untrained_network
from tasd.runs.folder import Run, newest, newest_pretrained, runs_folder


@dataclass(frozen=True)
class Choice:
    """A network, and the reason in one line; without reason where a person named the network."""

    network: TrainedNetwork
    reason: str = ""

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a recogniser that name this network."""
        if self.network.network != UNTRAINED:
            return {"run": self.network.path}
        config = self.network.config
        return {
            "backbone": config.network.backbone,
            "weights": config.network.weights,
            "matcher": config.matcher.name,
        }


def open_trained(path: Path | None, *, store: Path | None = None) -> TrainedNetwork:
    """Load the network of an export or a run, by default the newest run. Raises `UserError`."""
    if path is not None and is_export(path):
        return read_export(path)
    return trained_network(newest() if path is None else Run(path), store=store)


def choose(
    *,
    run: Path | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    matcher: str | None = None,
    store: Path | None = None,
) -> Choice:
    """Choose as the options of ``tasd predict`` say.

    Without run and backbone it is the newest run that began from pretrained weights, and where
    there is none the default backbone, without training.

    Raises `UserError`, also for options that have no effect together.
    """
    _refuse_idle(run, backbone, {"--weights": weights, "--matcher": matcher}, store)
    if backbone is not None:
        network = untrained_network(
            backbone, weights=weights or "imagenet", matcher=matcher or "bimhm"
        )
        return Choice(network)
    if run is not None:
        return Choice(open_trained(run, store=store))
    if (found := newest_pretrained()) is not None:
        network = trained_network(found, store=store)
        return Choice(network, f"the newest run with a pretrained backbone: {found.path}")
    if store is not None:
        raise UserError(
            f"--store {store} is an option for runs, and no run in {runs_folder()} has a "
            "pretrained backbone; name one with --run, or leave it out"
        )
    return _default()


def _default() -> Choice:
    """The default backbone; an error says why it was chosen."""
    why = f"no run in {runs_folder()} has a pretrained backbone"
    try:
        network = untrained_network(DEFAULT_BACKBONE)
    except UserError as error:
        raise UserError(f"{why}, and --backbone {DEFAULT_BACKBONE} in its place: {error}") from None
    config = network.config
    return Choice(
        network,
        f"{why}; an answer without training, from --backbone {config.network.backbone} with the "
        f"weights {config.network.weights} and the matcher {config.matcher.name}",
    )


def _refuse_idle(
    run: Path | None, backbone: str | None, of_backbone: dict[str, str | None], store: Path | None
) -> None:
    """Raise `UserError` for options that have no effect."""
    if run is not None and backbone is not None:
        raise UserError(
            f"--run {run} and --backbone {backbone} exclude one another; give one of them"
        )
    for option, value in of_backbone.items():
        if value is not None and backbone is None:
            raise UserError(
                f"{option} {value} is an option for --backbone, and a run has its own; add "
                f"--backbone NAME, or leave out {option}"
            )
    if store is not None and backbone is not None:
        raise UserError(f"--store {store} is an option for runs, not for --backbone; leave it out")
