"""The network that student and teacher share: pixels -> A and F -> scores, projection, relation."""

import copy

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.temporal import TemporalEncoder
from tasd.config import Config
from tasd.device import PrecisionChoice, resolve_precision
from tasd.errors import UserError
from tasd.losses.distill import ProjectionHead
from tasd.losses.relation import GloRe
from tasd.matchers import build as build_matcher
from tasd.types import Clips, Features, Normalisation


class Model(nn.Module):
    """Backbone, temporal encoder, matcher, and the two heads that distillation compares.

    The heads are there only when their term is on. Everything here is averaged into the
    teacher by Eq. 1; what only the student has lives in `tasd.training.learner`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, *, classes: int, initialise: bool = True) -> None:
        """``classes``: how many training classes there are, for matchers with heads of their own.

        Loads the pretrained weights that the config names, unless a checkpoint is to fill the
        model anyway (``initialise=False``). Raises `UserError`.
        """
        super().__init__()
        network, distill = config.network, config.distill
        self.backbone = backbones.build(network.backbone, channels=network.channels)
        self.backbone.batchnorm_frozen = weights.frozen(network.weights, network.batchnorm)
        pixels = Normalisation()
        if initialise:
            _check_overlap(config, self.backbone)
            pixels = weights.load(self.backbone, network.weights, batchnorm=network.batchnorm)
        self.backbone.gradient_checkpointing = network.gradient_checkpointing
        channels = self.backbone.channels
        if network.depth and channels % network.heads:
            raise UserError(
                f"network.heads = {network.heads} does not divide the {channels} channels of "
                f"{network.backbone}; use 8"
            )
        self.encoder = TemporalEncoder(
            channels,
            depth=network.depth,
            heads=network.heads,
            feedforward=network.feedforward,
            dropout=network.dropout,
        )
        self.matcher = build_matcher(
            config.matcher.name,
            channels,
            classes=classes,
            frames=config.data.frames,
            **config.matcher.options,
        )
        cached = network.backbone == backbones.CACHED
        if cached and (self.matcher.needs_maps or self.matcher.needs_pixels):
            raise UserError(
                f"--matcher {config.matcher.name} reads feature maps or pixels, and --features "
                "trains on pooled features; choose another matcher, or train on frames"
            )
        self.projection = (
            ProjectionHead(
                channels,
                hidden=distill.hidden,
                bottleneck=distill.bottleneck,
                out_dim=distill.out_dim,
            )
            if distill.ce
            else None
        )
        self.relation = _relation(config, self.backbone) if distill.pr else None
        self.precision: PrecisionChoice = config.training.precision
        self.channels_last = config.training.channels_last
        if self.channels_last and not self.backbone.clips:
            self.backbone = self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", 255 * torch.tensor(pixels.mean))
        self.register_buffer("std", 255 * torch.tensor(pixels.std))

    def forward(self, frames: Clips) -> Features:
        """A and F of some clips; bf16 inside where the config says so, F in float32.

        Of cached features F alone: there are no maps.
        """
        half = resolve_precision(self.precision, frames.device) == "bf16"
        with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=half):
            if frames.ndim == 3:
                return Features(frames=self.encoder(frames).float())
            # Channels stand last in memory already: the permutation costs no copy.
            maps = self.backbone(self.normalised(frames).permute(0, 1, 4, 2, 3))
            tokens = maps.mean(dim=(3, 4), dtype=torch.float32).transpose(1, 2)
            return Features(frames=self.encoder(tokens).float(), maps=maps)

    def normalised(
        self, frames: UInt8[Tensor, "videos time height width 3"]
    ) -> Float[Tensor, "videos time height width 3"]:
        """Pixels as the weights expect them; whole rows at a time, which is three times as fast."""
        width = frames.shape[3]
        rows = frames.flatten(3).float()
        rows = rows.sub_(self.mean.repeat(width)).mul_((1 / self.std).repeat(width))
        return rows.view(frames.shape)

    def project(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos out_dim"]:
        """The projection of each video's mean frame-level feature: the z of Eq. 2."""
        assert self.projection is not None, "the config has distill.ce = 0"
        projected: Tensor = self.projection(frames.mean(dim=1))
        return projected

    def relate(
        self, maps: Float[Tensor, "videos channels time rows columns"]
    ) -> Float[Tensor, "frames channels rows columns"]:
        """The GloRe unit frame by frame: the phi of Eq. 11."""
        assert self.relation is not None, "the config has distill.pr = 0"
        related: Tensor = self.relation(maps.transpose(1, 2).flatten(0, 1))
        return related


def _relation(config: Config, backbone: backbones.Backbone) -> GloRe:
    options, positions = config.distill, None
    if options.projection == "fixed":  # the matrix M has a row for every position of the map
        side = config.data.crop
        with torch.no_grad():
            maps = copy.deepcopy(backbone).eval()(torch.zeros(1, 1, 3, side, side))
        positions = maps.shape[-2] * maps.shape[-1]
    return GloRe(
        backbone.channels,
        states=options.states,
        nodes=options.nodes,
        projection=options.projection,
        positions=positions,
    )


def _check_overlap(config: Config, backbone: backbones.Backbone) -> None:
    """Refuse weights that have seen the test classes: the result would be no few-shot result.

    Backbones of whole clips are published with Kinetics-400 weights alone.
    """
    network = config.network
    seen = network.weights != "none" and "kinetics400" in backbone.pretrained
    if seen and config.dataset == "kinetics" and not network.allow_pretrained_overlap:
        raise UserError(
            f"--weights {network.weights}: pretrained weights of {network.backbone} have seen all "
            "classes of Kinetics-400, the test classes of this data set among them; train from "
            "scratch with --weights none, or accept it with --allow-pretrained-overlap, which "
            "marks every result"
        )
