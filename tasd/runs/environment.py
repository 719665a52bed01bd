"""Versions, devices and commit that a result depends on."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def environment(command: list[str]) -> dict[str, Any]:
    """Collect what a result depends on besides the config: versions, devices, commit, command."""
    import torch

    packages = ("tasd", "torch", "torchvision", "nvidia-dali-cuda130", "h5py", "numpy")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: version(name) for name in packages},
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "gpus": gpus,
        "cpus": os.cpu_count(),
        "commit": commit(),
    }


def version(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the git commit of this checkout, with ``+`` where files differ; None in a wheel."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
