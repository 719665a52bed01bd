"""The fit of a run's within-class covariance normalisation, before its first step."""

import torch

from tasd.config import Config
from tasd.episodes import evaluation_view
from tasd.extraction.forward import forward_views, in_batches
from tasd.extraction.inference import inference_copy
from tasd.features.store import FeatureStore
from tasd.model import Model
from tasd.runs.plain import plain_network
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.validation import VIDEOS_PER_BATCH


def fit_normalisation(
    student: Model, config: Config, store: Store | FeatureStore, world: World
) -> None:
    """Fit the student's `WithinClassNormalisation` to the training videos as a test sees them.

    Nothing is done where network.wccn is off. All ranks end with the leader's. Raises `UserError`.
    """
    normalisation, shrinkage = student.wccn, config.network.wccn
    if normalisation is None or shrinkage is None:
        return
    videos = [
        (video, number)
        for number, ids in enumerate(store.classes("train").values())
        for video in ids
    ]
    views = [evaluation_view(video, config.data.frames) for video, _ in videos]
    training = student.training
    plain = inference_copy(plain_network(student.eval(), config).eval())
    features = forward_views(
        plain,
        store,
        in_batches(views, VIDEOS_PER_BATCH),
        size=config.data.crop,
        device=world.device,
        kind=config.data.loader,
        threads=config.data.threads,
    )
    frames = torch.cat([found.frames for found in features])
    student.train(training)
    classes = torch.tensor([number for _, number in videos], device=frames.device)
    normalisation.fit(frames, classes, shrinkage=shrinkage)
    found = world.from_leader((normalisation.mean.cpu(), normalisation.matrix.cpu()))
    normalisation.mean.copy_(found[0])
    normalisation.matrix.copy_(found[1])
