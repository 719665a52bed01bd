"""TensorBoard: event files in the run's folder."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tasd.files import as_json
from tasd.runs.tracker import End, Start, Table, Tracker, markdown


class TensorBoard:
    """Event files in ``tensorboard/`` of the run; what stood there after the start is hidden."""

    def __init__(self, start: Start) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = None if start.adds else start.episode
        self._board: Any = SummaryWriter(str(start.folder / "tensorboard"), purge_step=purge)

    @property
    def identity(self) -> Mapping[str, str]:
        """Nothing: the files are in the run."""
        return {}

    @property
    def place(self) -> str:
        """Nothing: it is always there."""
        return ""

    def numbers(self, values: Mapping[str, float], *, episode: int) -> None:
        """Add a value of each series."""
        for name, value in values.items():
            self._board.add_scalar(name, value, episode)

    def picture(
        self, name: str, image: UInt8[np.ndarray, "height width 3"], *, episode: int
    ) -> None:
        """Add a picture of a series."""
        self._board.add_image(name, image, episode, dataformats="HWC")

    def config(self, values: Mapping[str, Any]) -> None:
        """Add the settings as a text."""
        self._board.add_text("config", f"```json\n{as_json(values, indent=1, ascii=True)}\n```", 0)

    def table(self, name: str, table: Table) -> None:
        """Add a table as a text."""
        self._board.add_text(name, markdown(table), 0)

    def finish(self, end: End) -> None:
        """Write what is left."""
        self._board.close()


def open_tensorboard(start: Start) -> Tracker:
    """Open event files."""
    return TensorBoard(start)
