"""SloshNet: fused maps of four stages, short and long motion, then TRX on single frames."""

from dataclasses import replace

from tasd.errors import UserError
from tasd.matchers.base import Cardinalities, Matcher, Rate, Width
from tasd.matchers.sloshnet_branches import GROUPS, Branches
from tasd.matchers.sloshnet_fusion import FusionCell, SpatialModulation
from tasd.matchers.trx import TRX
from tasd.types import Features, Scores, Task

STAGES = 4
RATE = 30.0  # of alpha, beta and gamma


class SloshNetTemporal(Matcher):
    """The temporal half of SloshNet, on the last stage's map alone. It is not SloshNet.

    Xing, Wang, Liu, Mu: "Revisiting the Spatial and Temporal Modeling for Few-shot Action
    Recognition", AAAI 2023, without its spatial half. The paper gives no figures of it.

    One branch gates each pixel by its motion to the next frame, another lets the frames of each
    pixel attend to each other; their sum, pooled, is what TRX compares. It is for backbones that
    give their last map alone, and for a run of a tenth of the work.

    cardinalities, width, dropout: as for TRX. positions: adds a table of positions before the
    attention over frames; off, as in the published code.

    Against the published code: see `SloshNet`.
    """

    levels = 1

    def __init__(
        self,
        channels: int,
        *,
        cardinalities: Cardinalities = (1,),
        width: Width = 1152,
        dropout: Rate = 0.1,
        positions: bool = False,
    ) -> None:
        super().__init__(channels)
        if channels % GROUPS:
            raise UserError(
                f"SloshNet splits the channels into {GROUPS} groups, which do not divide the "
                f"backbone's {channels}; choose another backbone or matcher"
            )
        self.fewest_frames = max(cardinalities)
        self.branches = Branches(channels, positions=positions)
        self.trx = TRX(channels, cardinalities=cardinalities, width=width, dropout=dropout)

    def condense(self, features: Features) -> Features:
        """Compute the frames of both branches from the map of the last stage."""
        return replace(features, frames=self.branches(features.levels[-1]), levels=())

    def prepare(self, features: Features) -> Features:
        """Compute TRX's keys and values."""
        return self.trx.prepare(features)

    def compare(self, task: Task) -> Scores:
        """Score as TRX does."""
        return self.trx.compare(task)

    def rate_factors(self) -> dict[str, float]:
        """Give gamma thirty times the rate: at the others' it hardly moves."""
        return {"branches.gamma": RATE}


class SloshNet(SloshNetTemporal):
    """SloshNet, corrected: a new measurement, not the published network.

    Xing, Wang, Liu, Mu: "Revisiting the Spatial and Temporal Modeling for Few-shot Action
    Recognition", AAAI 2023.

    The maps of the last four stages are brought to one size and fused by a searched cell. Two
    branches then model motion over short and over long times, and TRX compares single frames.

    cardinalities: sizes of the tuples; (1, 2) on Something-Something. width, dropout: as for TRX.
    positions: adds a table of positions before the attention over frames; off, as published.

    Against the published code: its attention over time runs over the videos and pixels of a call
    and its result is read back in another order, so that the published figures belong to another
    network, in which the queries of an episode see each other. Here it runs over time, each video
    alone. The gated branch has the sign +. The weights alpha, beta and gamma share the optimiser,
    at thirty times the rate; there beta and gamma hardly move. Any number of stages from two on,
    and backbones whose channels do not double: see `SpatialModulation`.
    """

    levels = STAGES

    def __init__(
        self,
        channels: int,
        *,
        cardinalities: Cardinalities = (1,),
        width: Width = 1152,
        dropout: Rate = 0.1,
        positions: bool = False,
        level_channels: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(
            channels,
            cardinalities=cardinalities,
            width=width,
            dropout=dropout,
            positions=positions,
        )
        stages = level_channels or tuple(channels >> n for n in reversed(range(STAGES)))
        stages = stages[-STAGES:]
        assert len(stages) > 1, "SloshNet reads several stages"
        assert stages[-1] == channels, "the last stage is A"
        self.levels = len(stages)
        self.modulation = SpatialModulation(stages)
        self.fusion = FusionCell(self.levels)

    def condense(self, features: Features) -> Features:
        """Fuse the maps of all stages, frame by frame, then compute both branches."""
        videos, time = features.frames.shape[:2]
        levels = [each.transpose(1, 2).flatten(0, 1) for each in features.levels]
        fused = self.fusion(self.modulation(levels))
        fused = fused.unflatten(0, (videos, time)).transpose(1, 2)
        return super().condense(replace(features, levels=(fused,)))

    def rate_factors(self) -> dict[str, float]:
        """Give alpha and beta the rate of gamma."""
        searched = {f"fusion.{name}": RATE for name, _ in self.fusion.named_parameters()}
        return super().rate_factors() | searched
