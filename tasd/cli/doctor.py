"""``tasd doctor``: report the installation, GPUs, decoder, stores and runs."""

import importlib
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasd.cli.say import say, say_json
from tasd.errors import UserError
from tasd.home import home

Verdict = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``missing`` means that some command cannot work."""

    what: str
    verdict: Verdict
    detail: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Report what is installed, GPUs, stores and runs."""
    findings = examine()
    if as_json:
        say_json([asdict(finding) for finding in findings], indent=2)
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[finding.verdict]
            say(f"{mark}  {finding.what:<12} {finding.detail}")
    raise typer.Exit(0 if healthy(findings) else 1)


def examine() -> list[Finding]:
    """Examine the installation."""
    from tasd.runs.environment import version

    return [
        Finding("python", "ok", f"{sys.version.split()[0]} on {platform.platform()}"),
        Finding("tasd", "ok", str(version("tasd"))),
        *_prep(),
        *_training(),
        *_data(),
    ]


def healthy(findings: list[Finding]) -> bool:
    """Return True where every command can work."""
    return all(finding.verdict != "missing" for finding in findings)


def _prep() -> list[Finding]:
    import h5py
    import imageio_ffmpeg

    found = [Finding("h5py", "ok", f"{h5py.__version__}, HDF5 {h5py.version.hdf5_version}")]
    try:
        binary = imageio_ffmpeg.get_ffmpeg_exe()
        version = imageio_ffmpeg.get_ffmpeg_version()
        found.append(Finding("ffmpeg", "ok", f"{version} at {binary}"))
    except RuntimeError as error:
        found.append(Finding("ffmpeg", "missing", f"{error}; pip install imageio-ffmpeg"))
    cores, free = os.cpu_count(), shutil.disk_usage(_there(home())).free / 2**30
    found.append(Finding("machine", "ok", f"{cores} cores, {free:.0f} GiB free in {home()}"))
    return found


def _training() -> list[Finding]:
    from tasd.runs.environment import version

    try:
        import torch

        _load_operators()
    # RuntimeError: what torchvision raises itself where it does not fit torch.
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        return [Finding("torch", "missing", f"{reason}; pip install 'tasd[train]' (prep works)")]
    versions = f"{torch.__version__}, torchvision {version('torchvision')}"
    found = [Finding("torch", "ok", versions)]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            text = f"{card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
            found.append(Finding(f"gpu {index}", "ok", text))
    else:
        found.append(Finding("gpu", "note", "none is usable; --device auto uses the CPU"))
    found.append(_loader())
    return found


def _load_operators() -> None:
    """Load torchvision's compiled operators, which fail where it was built for another torch.

    To import all of torchvision takes as long again as torch. Raises `ImportError` or `OSError`.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        raise ImportError("No module named 'torchvision'")
    folders = spec.submodule_search_locations or ()
    libraries = [path for folder in folders for path in Path(folder).glob("_C*.so")]
    if not libraries:
        importlib.import_module("torchvision")
    for path in libraries:
        torch.ops.load_library(path)


def _loader() -> Finding:
    from tasd.loader import why_no_dali

    if (reason := why_no_dali()) is not None:
        text = f"no DALI ({reason}); Pillow decodes the frames, more slowly"
        return Finding("loader", "note", text)
    from nvidia import dali

    return Finding("loader", "ok", f"DALI {dali.__version__}")


def _data() -> list[Finding]:
    from tasd.progress import counted
    from tasd.runs.folder import runs_folder
    from tasd.store import Store

    found = []
    stores = sorted((home() / "stores").glob("*/manifest.json"))
    for path in stores:
        try:
            store = Store(path.parent)
            text = (
                f"{store.dataset}: {counted(len(store.videos), 'video')}, "
                f"{counted(len(store.classes()), 'class')}"
            )
            found.append(Finding(f"store {path.parent}", "ok", text))
        except UserError as error:
            found.append(Finding(f"store {path.parent}", "note", str(error)))
    if not stores:
        found.append(Finding("stores", "note", f"none in {home() / 'stores'}; see tasd prep"))
    runs = sorted(runs_folder().glob("*/config.json"))
    finished = [path for path in runs if (path.parent / "checkpoints" / "best.pt").exists()]
    text = f"{len(runs)} in {runs_folder()}, {len(finished)} with a best checkpoint"
    found.append(Finding("runs", "ok" if runs else "note", text))
    return found


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
