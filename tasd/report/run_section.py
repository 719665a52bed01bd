"""The part of the page on one run: confusions, embeddings, episodes."""

from tasd.errors import UserError
from tasd.report.cached_test import CachedTest, cached_test
from tasd.report.confusion_chart import confusion_chart
from tasd.report.confusions import read_confusions
from tasd.report.embedding import embeddings
from tasd.report.embedding_chart import embedding_chart
from tasd.report.episode_browser import episode_browser
from tasd.report.frames import Thumbnails, find_frames
from tasd.report.hardest import hardest_episodes
from tasd.report.markup import Section, paragraph
from tasd.report.outcome import Outcome
from tasd.store import Store

FOR_EPISODES = 0.6  # of the room for frames; the rest is for plots


def run_section(
    outcome: Outcome, *, number: int, room: int, points: int, store: Store | None
) -> Section:
    """Make the part of one tested run.

    number: of the run on the page. room: characters for frames. points: of its plots. store: of
    the frames, as `tasd.report.frames.find_frames` takes it.
    """
    parts = ["<h3>Confusions</h3>", _confusions(outcome)]
    try:
        found = cached_test(outcome)
    except UserError as error:
        parts.append(paragraph(f"No plot of embeddings and no episodes: {error}.", kind="quiet"))
        return Section(f"run{number}", outcome.name, "".join(parts))
    frames, why = _frames(found, store)
    for_episodes = Thumbnails(frames, room=int(FOR_EPISODES * room))
    episodes = _episodes(found, for_episodes, key=f"e{number}", why=why)
    left = room - int(FOR_EPISODES * room)
    plots = _embeddings(found, frames, key=f"p{number}", room=left, points=points)
    parts += ["<h3>Embeddings</h3>", plots, "<h3>Episodes</h3>", episodes]
    return Section(f"run{number}", outcome.name, "".join(parts))


def _confusions(outcome: Outcome) -> str:
    assert outcome.chosen is not None
    try:
        return confusion_chart(read_confusions(outcome.chosen), name=outcome.name)
    except UserError as error:
        return paragraph(f"No confusions: {error}.", kind="quiet")


def _frames(found: CachedTest, store: Store | None) -> tuple[Store | None, str]:
    """Return the store of the frames, or the sentence on why there is none."""
    videos = [video for ids in found.features.classes(found.split).values() for video in ids]
    try:
        return find_frames(videos, found.features.about.get("store"), store), ""
    except UserError as error:
        return None, f"No frames: {error}."


def _embeddings(
    found: CachedTest, frames: Store | None, *, key: str, room: int, points: int
) -> str:
    planes = embeddings(found, most=points // 2)
    name = found.outcome.name
    return "".join(
        embedding_chart(
            plane,
            Thumbnails(frames, room=room // len(planes)),
            name=name,
            key=f"{key}{place}",
        )
        for place, plane in enumerate(planes)
    )


def _episodes(found: CachedTest, thumbnails: Thumbnails, *, key: str, why: str) -> str:
    try:
        shown = hardest_episodes(found)
    except UserError as error:
        return paragraph(f"No episodes: {error}.", kind="quiet")
    browser = episode_browser(shown, thumbnails, name=found.outcome.name, key=key, note=why)
    if thumbnails.left >= 0:
        return browser
    text = "Names stand in place of frames where the room for pictures on this page was used up."
    return browser + paragraph(text, kind="quiet")
