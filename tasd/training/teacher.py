"""The teacher: a moving average of the student that is never trained (section 3.1)."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasd.config import DistillOptions
from tasd.losses.distill import moved_centre
from tasd.model import Model
from tasd.training.batchnorm import copy_all
from tasd.types import EpisodeBatch, Features, Targets


@dataclass(frozen=True)
class _Followed:
    """The tensors that follow and are followed: to list them takes longer than to move them.

    Each is a list of the teacher's and one of the student's.
    """

    weights: tuple[list[Tensor], list[Tensor]]
    buffers: tuple[list[Tensor], list[Tensor]]

    @classmethod
    def of(cls, teacher: Model, student: Model) -> "_Followed":
        return cls(
            (list(teacher.parameters()), list(student.parameters())),
            (list(teacher.buffers()), list(student.buffers())),
        )

    def still(self, teacher: Model, student: Model) -> bool:
        """True where these are the tensors of the two networks."""
        networks = (teacher, student)
        return all(
            next(network.parameters()) is own[0]
            for network, own in zip(networks, self.weights, strict=True)
        )


class Teacher(nn.Module):
    """A copy of the student in eval mode, run on no more videos than the pair modes need."""

    centre: Tensor

    def __init__(self, student: Model, options: DistillOptions) -> None:
        super().__init__()
        self.model = copy.deepcopy(student).requires_grad_(False).eval()
        self.options = options
        outputs = options.out_dim if options.ce else 0
        self.register_buffer("centre", torch.zeros(outputs, device=student.mean.device))
        self._followed: _Followed | None = None

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, batch: EpisodeBatch) -> Targets:
        """Compute what the student is to match in this episode."""
        computed: dict[str, Features] = {}
        projections = maps = relations = None
        if self.options.ce:
            projections = self.model.project(
                self._features(batch, self._ce_videos, computed).frames
            )
        if self.options.uses_maps:
            maps = self._features(batch, self._map_videos, computed).maps
            assert maps is not None
            relations = self._relations(maps) if self.options.pr else None
        return Targets(
            projections=projections,
            centre=self.centre if self.options.ce else None,
            maps=maps if self.options.at or self.options.am else None,
            relations=relations,
        )

    def _relations(self, maps: Tensor) -> Tensor:
        """Return phi(A), by default with the statistics of these maps, as the student has it."""
        own = self.options.relation_statistics == "episode"
        return self.model.relate(maps, own_statistics=own)

    @property
    def _ce_videos(self) -> str:
        return "support" if self.options.ce_pairs == "CS" else "second"

    @property
    def _map_videos(self) -> str:
        return "query" if self.options.map_pairs == "QS" else "support"

    def _features(
        self, batch: EpisodeBatch, videos: str, computed: dict[str, Features]
    ) -> Features:
        if videos not in computed:
            shots = len(batch.support_labels)
            if videos == "second":
                assert batch.second is not None, "the sampler draws second views for SS and QS"
                frames = batch.second
            else:
                frames = batch.frames[:shots] if videos == "support" else batch.frames[shots:]
            computed[videos] = self.model(frames)
        return computed[videos]

    @torch.no_grad()
    def follow(self, student: Model, *, coefficient: float) -> None:
        """Move every weight towards the student's by ``coefficient``; copy the buffers. Eq. (1)."""
        if self._followed is None or not self._followed.still(self.model, student):
            self._followed = _Followed.of(self.model, student)
        torch._foreach_lerp_(*self._followed.weights, coefficient)
        copy_all(*self._followed.buffers)

    def recentre(self, mean: Float[Tensor, " out_dim"] | None) -> None:
        """Move the centre of Eq. 2 towards the mean of the step's projections, over all ranks.

        None, where Eq. 2 is off, moves nothing.
        """
        if mean is None:
            return
        momentum = self.options.centre_momentum
        self.centre.copy_(moved_centre(self.centre, mean[None], momentum=momentum))
