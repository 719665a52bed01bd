"""Networks that are open in this process, the last few, so that clones do not open them again."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from tasd.backbones import DEFAULT_BACKBONE
from tasd.device import pick_device
from tasd.errors import UserError
from tasd.home import home
from tasd.predict.choice import open_trained
from tasd.predict.export import CONFIG, WEIGHTS
from tasd.predict.trained import SETTINGS_FILE, TrainedNetwork, on_device
from tasd.predict.untrained import untrained_network
from tasd.runs.folder import Run

MOST_OPEN = 2
OF_BACKBONE = ("weights", "matcher", "frames", "crop")

_open: "OrderedDict[tuple[Any, ...], TrainedNetwork]" = OrderedDict()
_lock = threading.Lock()


def open_network(parameters: dict[str, Any]) -> TrainedNetwork:
    """Open the network that the parameters of an estimator name, on its device.

    parameters: run, store, device, backbone and those of `OF_BACKBONE`, None where not given. A
    network whose files have not changed since is not opened again.

    Raises `UserError`, also for parameters that exclude one another.
    """
    check_parameters(parameters)
    with _lock:
        key = _key(parameters)
        network = _open.pop(key, None)
        if network is None:
            network = _opened(parameters)
            key = _key(parameters)  # opening a run may write how its frames are made
        _open[key] = network
        while len(_open) > MOST_OPEN:
            _open.popitem(last=False)
        return network


def check_parameters(parameters: dict[str, Any]) -> None:
    """Raise `UserError` for parameters that exclude one another."""
    run, backbone, store = (parameters[name] for name in ("run", "backbone", "store"))
    if run is None:
        if store is not None:
            raise UserError(f"store={str(store)!r} is a parameter for runs, and run is None")
        return
    if backbone is not None:
        raise UserError(
            f"run={str(run)!r} and backbone={backbone!r} exclude one another; give one of them"
        )
    for name in OF_BACKBONE:
        if parameters.get(name) is not None:
            raise UserError(
                f"{name}={parameters[name]!r} is a parameter for backbones, and the run {run} has "
                "its own; leave it out, or give backbone in place of run"
            )


def _opened(parameters: dict[str, Any]) -> TrainedNetwork:
    device = pick_device(parameters["device"])
    if parameters["run"] is not None:
        store = parameters["store"]
        network = open_trained(
            Path(parameters["run"]), store=None if store is None else Path(store)
        )
    else:
        given = {name: parameters.get(name) for name in OF_BACKBONE}
        network = untrained_network(
            parameters["backbone"] or DEFAULT_BACKBONE,
            **{name: value for name, value in given.items() if value is not None},
        )
    return on_device(network, device)


def _key(parameters: dict[str, Any]) -> tuple[Any, ...]:
    """All that the network depends on: the parameters, and the files that they name."""
    named = tuple(str(parameters.get(name)) for name in ("backbone", *OF_BACKBONE, "store"))
    device = str(pick_device(parameters["device"]))
    if parameters["run"] is None:
        weights = Path(parameters["weights"] or "imagenet").absolute()
        return (*named, device, str(home().absolute()), _stamp(weights))
    run = Path(parameters["run"]).absolute()
    files = (Run(run).best, run / SETTINGS_FILE, run / CONFIG, run / WEIGHTS)
    return (*named, device, str(run), *map(_stamp, files))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
