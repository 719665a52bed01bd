"""Any image model of timm as a backbone: ``timm/NAME``."""

import re
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasd.backbones.base import Backbone, Pooled, Pretrained
from tasd.backbones.timm_models import Described, check_name, create, describe
from tasd.backbones.timm_weights import PUBLISHED, TimmWeights, converted
from tasd.errors import UserError


class TimmBackbone(Backbone):
    """An image model of timm (Wightman, PyTorch Image Models, 2019), frame by frame.

    A is the output of its ``forward_features`` as a map: the last stage of a convolutional
    network, or the patch tokens of a transformer as a grid, after the model's last norm where it
    has one there. Class and register tokens are left out.

    The pooled frames are the model's own where ``own_pooling`` is set, which is its
    ``forward_head`` without the classifier: the class token of a ViT, the attention pool of
    SigLIP, the normalised mean of ConvNeXt. CLIP and DINOv2 were trained on that vector, which
    therefore says what a picture shows; each patch speaks of its place. A model whose head changes
    the number of channels, and ``own_pooling = False``, pool A by its mean.

    Mean, deviation and size are those of timm's ``pretrained_cfg``. A ViT resamples its position
    embeddings for pictures of another size; `check_crop` refuses a size that a model cannot read.
    """

    def __init__(self, name: str) -> None:
        self.described: Described = describe(name)
        self.name = name
        weights = TimmWeights(check_name(name))
        pixels = self.described.pixels
        published = Pretrained(weights, pixels.mean, pixels.std, rename=_below_network)
        super().__init__(
            [("network", create(weights.name, self.described.options))],
            self.described.channels,
            pretrained={PUBLISHED: published} if weights.there_are else {},
            size=self.described.size,
        )
        self.own_pooling = self.described.pooled
        self._pixels = published
        self._run_frames: Callable[..., Any] = self._frames

    @property
    def file_layout(self) -> Pretrained:
        """The layout, mean and deviation that a file of weights is taken to have."""
        return self._pixels

    @property
    def saw_kinetics(self) -> bool:
        """True where the name speaks of Kinetics."""
        return any(word in self.name.lower() for word in ("kinetics", "k400", "k600", "k700"))

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring a state dict into this model's layout, as timm does for its own."""
        plain = {key.removeprefix("network."): value for key, value in state.items()}
        network: Any = self.network
        own = network.state_dict()
        return converted(check_name(self.name), self.described.options, plain, own)

    def forward(
        self, frames: Float[Tensor, "videos time 3 height width"]
    ) -> Float[Tensor, "videos channels time rows columns"]:
        """Compute the feature map A of some clips of normalised frames."""
        return _as_clips(self._run_frames(frames.flatten(0, 1), False)[0], frames)

    def pooled(self, frames: Float[Tensor, "videos time 3 height width"]) -> Pooled:
        """Compute A and the pooled frames, by the model's own pooling where that is on."""
        if not self.own_pooling:
            return super().pooled(frames)
        maps, vectors = self._run_frames(frames.flatten(0, 1), True)
        return Pooled(_as_clips(maps, frames), vectors.float().unflatten(0, frames.shape[:2]))

    def check_crop(self, crop: int) -> None:
        """Raise `UserError` where the model cannot read pictures of ``crop`` pixels a side."""
        if crop != self.size:
            describe(self.name, crop)

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile the pass over frames, which maps and pooled frames share."""
        self._run_frames = torch.compile(self._frames, *arguments, **options)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Set training mode, and timm's checkpointing of blocks where it is asked for."""
        super().train(mode)
        self._checkpoint(self.gradient_checkpointing and mode)
        return self

    def depths(self) -> dict[str, int]:
        """Return the depth of each parameter by timm's groups, 0 nearest to the pixels."""
        from timm.models import group_parameters

        if not hasattr(self.network, "group_matcher"):
            raise UserError(
                f"optimiser.layer_decay needs the order of the layers, which timm does not give "
                f"for --backbone {self.name}; leave it out"
            )
        network: Any = self.network
        layers = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
        return {f"network.{name}": int(depth) for name, depth in layers.items()}

    def undecayed(self) -> frozenset[str]:
        """Return the parameters that timm exempts from weight decay, as position embeddings."""
        network: Any = self.network
        names = network.no_weight_decay() if hasattr(network, "no_weight_decay") else ()
        return frozenset(f"network.{name}" for name in names)

    def _frames(self, frames: Tensor, pool: bool) -> tuple[Tensor, Tensor | None]:
        network: Any = self.network
        found = network.forward_features(frames)
        maps = as_map(found, self.described, height=frames.shape[2], width=frames.shape[3])
        return maps, network.forward_head(found, pre_logits=True) if pool else None

    def _checkpoint(self, on: bool) -> None:
        network: Any = self.network
        if on and not self.batchnorm_frozen and _normalises_by_batch(network):
            raise UserError(
                f"network.gradient_checkpointing = true needs frozen BatchNorm in {self.name}: its "
                "statistics would move twice; leave it off, or begin from pretrained weights"
            )
        try:
            network.set_grad_checkpointing(on)
        except (AttributeError, AssertionError):
            if on:
                raise UserError(
                    f"network.gradient_checkpointing = true: timm has no checkpointing for "
                    f"{self.name}; leave it off"
                ) from None


def as_map(
    found: Tensor, described: Described, *, height: int, width: int
) -> Float[Tensor, "frames channels rows columns"]:
    """Bring the output of ``forward_features`` into the form of a map.

    height, width: of the pictures; the grid of patches has their proportions.
    """
    if described.layout == "NCHW":
        return found
    if described.layout == "NHWC":
        return found.permute(0, 3, 1, 2)
    patches = found[:, described.prefix :]
    rows = round((patches.shape[1] * height / width) ** 0.5)
    grid: Tensor = patches.transpose(1, 2).unflatten(2, (rows, -1))
    return grid


def _as_clips(maps: Tensor, frames: Tensor) -> Tensor:
    clips: Tensor = maps.unflatten(0, frames.shape[:2])
    return clips.transpose(1, 2)


def _below_network(key: str) -> str:
    """Translate a name of timm's file into ours; our own names stay."""
    return key if re.match(r"network\.", key) else f"network.{key}"


def _normalises_by_batch(network: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
