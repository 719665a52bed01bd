"""The student and every loss term: the one module that is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasd.backbones.packaged import WeightsMissing
from tasd.config import Config, DistillOptions, PairMode
from tasd.errors import UserError
from tasd.losses.attention import attention_transfer
from tasd.losses.distill import Pairs, self_distillation
from tasd.losses.episode import AuxiliaryClassifier, metric_cross_entropy
from tasd.losses.mask import masked_imitation
from tasd.losses.relation import AdaptiveConvolution, relation_distillation, relation_share
from tasd.model import Model, build_model
from tasd.training.gradients import gradient_norms as norms
from tasd.training.known import Known, known
from tasd.training.schedule import Pace
from tasd.training.trainable import check_learns
from tasd.types import EpisodeBatch, Features, Losses, Scores, Targets, Task


@dataclass(frozen=True)
class _Distilled:
    terms: dict[str, Float[Tensor, ""]]
    relation_share: Float[Tensor, ""] | None = None


class Learner(nn.Module):
    """The student's forward pass on one episode and the total loss.

    L = L_M + w_CE L_CE + w_AT L_AT + w_AM L_AM + w_PR L_PR, plus the auxiliary classifier's loss
    and the matcher's own losses where the recipe gives them a weight. L_M is the cross-entropy of
    the scores, or the loss that `Matcher.metric_loss` names. The student reads support and query.
    The adaptive convolution f of Eq. 11 and the classifier have no copy in the teacher.
    `build_learner` makes one from a config.
    """

    def __init__(
        self,
        student: Model,
        distill: DistillOptions,
        *,
        classes: tuple[str, ...],
        auxiliary: float,
        metric: float = 1.0,
        matcher_losses: Mapping[str, float],
    ) -> None:
        """Build the parts of the student alone and the weights of all terms. Raises `UserError`.

        classes: the training classes, in the order of the auxiliary classifier's outputs.
        auxiliary: weight of that classifier's loss; 0 builds none.
        metric: weight of L_M.
        matcher_losses: weights of the matcher's own losses, by name.
        """
        super().__init__()
        self.options = distill
        self.class_index = {name: index for index, name in enumerate(classes)}
        self.student = student
        channels, self.metric = student.backbone.channels, student.matcher.metric_loss
        self.adaptive = AdaptiveConvolution(channels) if distill.pr else None
        self.classifier = AuxiliaryClassifier(channels, len(classes)) if auxiliary else None
        self.temperature = distill.teacher_temperature
        self.weights = {
            self.metric: metric,
            **distill.weights,
            **({"auxiliary": auxiliary} if auxiliary else {}),
            **matcher_losses,
        }

    def keep_pace(self, pace: Pace) -> None:
        """Set the weights of the distillation, and its temperature, for the next step."""
        self.weights |= {name: pace.share * w for name, w in self.options.weights.items()}
        self.temperature = pace.temperature or self.options.teacher_temperature

    def forward(
        self,
        batch: EpisodeBatch,
        targets: Targets | None = None,
        *,
        gradient_norms: bool = False,
        labels: Known | None = None,
    ) -> Losses:
        """Compute all terms of one episode; ``targets`` are the teacher's, where a term needs them.

        gradient_norms: also compute the norm of each term's gradient. labels: what `known` says of
        the episode, where it is at hand.
        """
        # Copies from the host come first: later the host would wait for the networks.
        labels = labels or known(batch.episode, self.class_index, batch.frames.device)
        classes, classmates = labels.classes, labels.classmates
        features = self.student(batch.frames, levels=self.student.matcher.levels)
        with torch.autocast(batch.frames.device.type, enabled=False):
            scores = self._match(features, batch, classes)
            truth = batch.query_labels[None]
            metric = scores.losses.get(self.metric)
            if metric is None:
                metric = metric_cross_entropy(scores.logits, truth)
            terms = {self.metric: metric}
            distilled = (
                self._distil(features, batch, targets, classmates) if targets else _Distilled({})
            )
            terms |= distilled.terms
            if self.classifier is not None:
                terms["auxiliary"] = self.classifier(features.frames, classes)
            terms |= {name: loss for name, loss in scores.losses.items() if name in self.weights}
            total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return Losses(
            terms=terms,
            total=total,
            accuracy=(scores.logits.argmax(dim=-1) == truth).float().mean(),
            gradient_norms=norms(terms, features) if gradient_norms else {},
            relation_share=distilled.relation_share,
        )

    def _match(self, features: Features, batch: EpisodeBatch, classes: Tensor) -> Scores:
        shots = len(batch.support_labels)
        frames, maps = features.frames, None
        if self.student.matcher.needs_maps and features.maps is not None:
            maps = features.maps[None]
        levels = tuple(each[None] for each in features.levels)
        encodes = any(self.weights.get(loss) for loss in self.student.matcher.encoder_losses)
        pixels = self._pixels(batch) if self.student.matcher.needs_pixels or encodes else None
        scores: Scores = self.student.matcher(
            Task(
                way=batch.episode.way,
                support=frames[None, :shots],
                query=frames[None, shots:],
                support_labels=batch.support_labels[None],
                support_maps=None if maps is None else maps[:, :shots],
                query_maps=None if maps is None else maps[:, shots:],
                support_levels=tuple(each[:, :shots] for each in levels),
                query_levels=tuple(each[:, shots:] for each in levels),
                support_pixels=None if pixels is None else pixels[:, :shots],
                query_pixels=None if pixels is None else pixels[:, shots:],
                query_labels=batch.query_labels[None],
                support_classes=classes[None, :shots],
                query_classes=classes[None, shots:],
                encode=self.student.encode if encodes else None,
            )
        )
        return scores

    def _pixels(self, batch: EpisodeBatch) -> Tensor:
        """Normalised frames, for matchers that reconstruct or change them."""
        pixels: Tensor = self.student.normalised(batch.frames)
        pixels = pixels.permute(0, 1, 4, 2, 3)
        return pixels[None]

    def _distil(
        self,
        features: Features,
        batch: EpisodeBatch,
        targets: Targets,
        classmates: Pairs,
    ) -> _Distilled:
        terms = {}
        if targets.projections is not None and targets.centre is not None:
            mode = self.options.ce_pairs
            projected = self.student.project(_of(features.frames, mode, batch))
            student, teacher = _paired(
                projected, targets.projections, mode=mode, classmates=classmates
            )
            terms["ce"] = self_distillation(
                student,
                teacher,
                centre=targets.centre,
                student_temperature=self.options.student_temperature,
                teacher_temperature=self.temperature,
            )
        if not self.options.uses_maps:
            return _Distilled(terms)
        assert features.maps is not None
        maps = _of(features.maps, self.options.map_pairs, batch)
        terms |= self._imitate(maps, classmates, targets)
        if targets.relations is None:
            return _Distilled(terms)
        related = self._relate(maps, classmates, targets.relations)
        return _Distilled(terms | related.terms, related.relation_share)

    def _imitate(self, maps: Tensor, classmates: Pairs, targets: Targets) -> dict[str, Tensor]:
        """Compute the terms on A: attention transfer and masked imitation."""
        if targets.maps is None:
            return {}
        student, teacher = _paired(
            maps, targets.maps, mode=self.options.map_pairs, classmates=classmates
        )
        form, root = self.options.form, self.options.root
        terms = {}
        if self.options.at:
            terms["at"] = attention_transfer(student, teacher, form=form, root=root)
        if self.options.am:
            temperature = self.options.mask_temperature
            terms["am"] = masked_imitation(
                student, teacher, temperature=temperature, form=form, root=root
            )
        return terms

    def _relate(self, maps: Tensor, classmates: Pairs, teacher: Tensor) -> _Distilled:
        """Compute the term on phi(A), frame by frame."""
        assert self.adaptive is not None
        time = maps.shape[2]
        related = self.student.relate(maps)
        share = relation_share(related, maps.transpose(1, 2).flatten(0, 1))
        adapted = self.adaptive(related).unflatten(0, (-1, time))
        student, teacher = _paired(
            adapted,
            teacher.unflatten(0, (-1, time)),
            mode=self.options.map_pairs,
            classmates=classmates,
        )
        loss = relation_distillation(
            teacher.flatten(0, 1),
            student.flatten(0, 1),
            form=self.options.form,
            root=self.options.root,
        )
        return _Distilled({"pr": loss}, share.detach())


def build_learner(config: Config, *, classes: tuple[str, ...], initialise: bool = True) -> Learner:
    """Make the student and the loss terms that ``config`` describes. Raises `UserError`.

    classes: the training classes. initialise: False loads no pretrained weights, for a checkpoint
    to fill.
    """
    check_learns(config)
    try:
        student = build_model(config, classes=len(classes), initialise=initialise)
    except WeightsMissing as error:
        raise UserError(f"{error}, or train from scratch with --weights none") from None
    return Learner(
        student,
        config.distill,
        classes=classes,
        auxiliary=config.training.auxiliary,
        metric=config.training.metric,
        matcher_losses=config.matcher.losses,
    )


def _of(rows: Tensor, mode: PairMode, batch: EpisodeBatch) -> Tensor:
    """The student's rows of a pair mode: its support for SS, else its queries."""
    shots = len(batch.support_labels)
    return rows[:shots] if mode == "SS" else rows[shots:]


def _paired(
    student: Tensor, teacher: Tensor, *, mode: PairMode, classmates: Pairs
) -> tuple[Tensor, Tensor]:
    """The rows that a pair mode compares (Table 3): each with itself for SS and QS."""
    if mode != "CS":
        return student, teacher
    return student[classmates.student], teacher[classmates.teacher]
