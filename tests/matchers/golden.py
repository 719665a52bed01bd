"""Golden numbers of published implementations, and their comparison with ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasd.types import Task

INPUTS = ("support", "query", "support_labels", "query_labels", "k1_index")
# Largest difference of the reference in float32 from itself in float64.
FLOAT32_DEVIATION = {
    "otam": 1e-6,
    "meanpool": 3e-7,
    "bimhm": 8e-7,
    "trx": 6e-6,
    "hyrsm": 3e-6,
    "strm": 7e-6,
    "molo": 2e-6,
    "ta2n": 3e-6,
    "temporal_matching": 1e-5,
    "hcl": 2e-6,
    "sloshnet": 9e-6,
    "team": 2e-6,
    "mpl": 4e-6,
    "ts_dcm": 1e-6,
}


class Golden:
    """One file's arrays, cast to the precision of the comparison."""

    def __init__(self, shared: Path, name: str, dtype: torch.dtype) -> None:
        self.name, self.dtype = name, dtype
        with np.load(shared / "golden" / f"{name}.npz", allow_pickle=False) as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def __getitem__(self, key: str) -> Tensor:
        array = torch.from_numpy(self.arrays[key])
        return array.to(self.dtype) if array.is_floating_point() else array

    def number(self, key: str) -> float:
        return float(self.arrays[key])

    def supports(self, which: str) -> Tensor:
        """Indices of an episode's supports: "k1", one a class, or "kn", all."""
        return self["k1_index"] if which == "k1" else torch.arange(len(self["support"]))

    def task(self, which: str) -> Task:
        """Build the episode; where the file holds maps, the frames are their means."""
        chosen = self.supports(which)
        support, query = self["support"][chosen], self["query"]
        maps: dict[str, Tensor] = {}
        if support.dim() == 5:
            maps["support_maps"] = support.transpose(1, 2)[None]
            maps["query_maps"] = query.transpose(1, 2)[None]
            support, query = support.mean(dim=(3, 4)), query.mean(dim=(3, 4))
        labels = self["support_labels"][chosen][None]
        return Task(5, support[None], query[None], labels, **maps)

    def weights(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        """Rename the published state dict to our names; 1x1 convolutions become linear layers.

        ``names`` maps modules, or single tensors, from theirs to ours.
        """
        renamed = {}
        for key in (key[2:] for key in self.arrays if key.startswith("w/")):
            module, _, tensor = key.rpartition(".")
            if key in names:
                renamed[names[key]] = self["w/" + key]
            elif module in names:
                renamed[f"{names[module]}.{tensor}"] = self["w/" + key]
        return renamed

    def assert_all_match(self, ours: Mapping[str, Tensor], *, others: Sequence[str] = ()) -> None:
        """Assert that all outputs equal ours; ``others`` are further inputs of this file.

        Outputs called ``released_...`` are flaws of released code, which are not matched.
        """
        left_out = ("w/", "w1d/", "meta/", "released_")
        outputs = {key for key in self.arrays if not key.startswith(left_out)}
        assert outputs - {*INPUTS, *others} == set(ours)
        self.assert_match(ours)

    def assert_match(self, ours: Mapping[str, Tensor]) -> None:
        """Assert that these outputs equal ours."""
        tolerance = 1e-8 if self.dtype == torch.float64 else 10 * FLOAT32_DEVIATION[self.name]
        for key, value in ours.items():
            expected = torch.from_numpy(self.arrays[key])
            difference = (value.detach().double() - expected.double()).abs().max().item()
            assert value.shape == expected.shape, f"{key}: {value.shape} for {expected.shape}"
            assert difference <= tolerance, f"{key} is {difference:.1e} away"
