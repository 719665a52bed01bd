"""Self-distillation between the networks' projected features.

After DINO (Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV
2021): the student's distribution over the outputs of a projection head is pulled to the
teacher's, which is sharpened by a low temperature and centred by a moving average.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from tasd.device import outside_autocast, widened


@dataclass(frozen=True)
class Pairs:
    """Pairs of a video of the student and one of the teacher, by index."""

    student: Int64[Tensor, " pairs"]
    teacher: Int64[Tensor, " pairs"]


def same_class_pairs(
    student_labels: Int64[Tensor, " student"], teacher_labels: Int64[Tensor, " teacher"]
) -> Pairs:
    """List all pairs of one class (CS of Table 3): the student's query, the teacher's support."""
    student, teacher = torch.nonzero(student_labels[:, None] == teacher_labels, as_tuple=True)
    return Pairs(student=student, teacher=teacher)


class ProjectionHead(nn.Module):
    """DINO's projection: an MLP to a bottleneck of length one, compared with unit prototypes.

    Every output is a cosine, between the bottleneck and the direction of one row of ``last``:
    the rows' magnitude is fixed at 1.
    """

    def __init__(
        self, channels: int, *, hidden: int = 2048, bottleneck: int = 256, out_dim: int = 4096
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        last = nn.Linear(bottleneck, out_dim, bias=False)
        for module in [*self.mlp, last]:
            if isinstance(module, nn.Linear):
                _initialise(module)
        self.last = parametrizations.weight_norm(last)
        magnitude = self.last.parametrizations.weight.original0
        nn.init.ones_(magnitude).requires_grad_(False)

    def forward(
        self, features: Float[Tensor, "videos channels"]
    ) -> Float[Tensor, "videos out_dim"]:
        """Compute the outputs z from the features of videos, which are F averaged over time."""
        with outside_autocast(features):
            hidden = self.mlp(widened(features))
            outputs: Tensor = self.last(functional.normalize(hidden, dim=1, eps=1e-12))
        return outputs


def self_distillation(
    student: Float[Tensor, "pairs out_dim"],
    teacher: Float[Tensor, "pairs out_dim"],
    *,
    centre: Float[Tensor, " out_dim"],
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Float[Tensor, ""]:
    """Compute L_CE, the cross-entropy of teacher and student, row i with row i.

    Eq. 2 prints bare features. Here they are softmaxes of the projections, the teacher's centred,
    and the mean is taken over pairs. The teacher is a constant. Eq. (2).
    """
    with outside_autocast(student):
        targets = (widened(teacher.detach()) - centre.detach()) / teacher_temperature
        log_student = (widened(student) / student_temperature).log_softmax(1)
        return -(targets.softmax(1) * log_student).sum(1).mean()


@torch.no_grad()
def moved_centre(
    centre: Float[Tensor, " out_dim"],
    teacher_outputs: Float[Tensor, "videos out_dim"],
    *,
    momentum: float = 0.9,
) -> Float[Tensor, " out_dim"]:
    """Return the centre, moved towards the mean of a step's outputs of the teacher.

    For several episodes or ranks of equal size, give the mean of each as one row.
    """
    return momentum * centre + (1 - momentum) * widened(teacher_outputs).mean(0)


def _initialise(layer: nn.Linear) -> None:
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
