"""The drawing of episodes: frames of support and query, scores, right and wrong."""

from collections.abc import Sequence

from tasd.report.frames import Thumbnails
from tasd.report.hardest import Answer, ShownEpisode
from tasd.report.markup import escaped, paragraph

HEIGHT, FRAMES = 64, 3  # of the pictures, in pixels; frames of a video
MOST_PICTURES = 20  # of an episode with three frames a video; with more videos one frame each
CAPTION = (
    "Hardest first: fewest right answers, and among these the true classes furthest below the "
    "best wrong ones; the last ones are spread over the rest of the test. Bars show the scores of "
    "one query, from the lowest to the highest. Arrow keys go from episode to episode."
)


def episode_browser(
    shown: Sequence[ShownEpisode], thumbnails: Thumbnails, *, name: str, key: str, note: str = ""
) -> str:
    """Draw episodes of the run ``name`` as HTML; one opens, and closes the one before.

    key: unique on the page. note: a sentence where there are no frames.
    """
    parts = [paragraph(CAPTION, kind="caption")]
    parts += [paragraph(note, kind="quiet")] if note else []
    strips = _Strips(thumbnails, key)
    for place, episode in enumerate(shown):
        parts.append(_episode(episode, strips, key=key, opened=place == 0))
    label = escaped(f"episodes of {name}")
    browser = f"<div class=browser role=group aria-label='{label}'>{''.join(parts)}</div>"
    return strips.bank() + browser


class _Strips:
    """The pictures of the videos: each stands once on the page, however many episodes show it."""

    def __init__(self, thumbnails: Thumbnails, key: str) -> None:
        self._thumbnails, self._key = thumbnails, key
        self._names: dict[str, str] = {}
        self._images: list[str] = []

    def show(self, video: str, *, frames: int) -> str:
        """Return the picture of a video; its name where there is none."""
        name = escaped(video)
        made = self._thumbnails.strip(video, count=frames, height=HEIGHT)
        if made is None:
            return f"<small>{name}</small>"
        size = f"width={made.width} height={made.height}"
        if made.address not in self._names:
            own = self._names[made.address] = f"{self._key}v{len(self._names)}"
            self._images.append(f"<image id={own} href='{made.address}' {size} />")
        return (
            f"<svg class=strip {size} viewBox='0 0 {made.width} {made.height}' role=img "
            f"aria-label='{name}'><title>{name}</title>"
            f"<use href='#{self._names[made.address]}'/></svg>"
        )

    def bank(self) -> str:
        """Return the pictures, which the episodes refer to."""
        images = "".join(self._images)
        return f"<svg class=bank width=0 height=0 aria-hidden=true><defs>{images}</defs></svg>"


def _episode(shown: ShownEpisode, strips: _Strips, *, key: str, opened: bool) -> str:
    videos = sum(map(len, shown.support)) + len(shown.answers)
    frames = FRAMES if videos <= MOST_PICTURES else 1
    support = "".join(
        f"<li><span>{escaped(name)}</span>"
        + "".join(strips.show(video, frames=frames) for video in own)
        + "</li>"
        for name, own in zip(shown.classes, shown.support, strict=True)
    )
    answers = "".join(_answer(one, shown, strips, frames=frames) for one in shown.answers)
    return (
        f"<details name={key}{' open' if opened else ''}>"
        f"<summary>Episode {shown.number:,}: {shown.right} of {len(shown.answers)} right</summary>"
        f"<h5>Support</h5><ul class=support>{support}</ul>"
        f"<h5>Queries</h5><ul class=answers>{answers}</ul></details>"
    )


def _answer(answer: Answer, shown: ShownEpisode, strips: _Strips, *, frames: int) -> str:
    true, given = shown.classes[answer.true], shown.classes[answer.given]
    said = f"right: {true}" if answer.right else f"wrong: {given}, not {true}"
    low, high = min(answer.scores), max(answer.scores)
    rows = "".join(
        _score(name, score, part=(score - low) / (high - low) if high > low else 1.0,
               true=place == answer.true)
        for place, (name, score) in enumerate(zip(shown.classes, answer.scores, strict=True))
    )  # fmt: skip
    mark = "✓" if answer.right else "✗"
    kind = "right" if answer.right else "wrong"
    return (
        f"<li class={kind}>{strips.show(answer.video, frames=frames)}"
        f"<b><span aria-hidden=true>{mark}</span> {escaped(said)}</b>"
        f"<ol class=scores>{rows}</ol></li>"
    )


def _score(name: str, score: float, *, part: float, true: bool) -> str:
    own = " (true)" if true else ""
    kind = " class=true" if true else ""
    return (
        f"<li{kind}><span>{escaped(name)}{own}</span><span>{score:.3f}</span>"
        f"<svg height=5 width=100% aria-hidden=true><rect height=5 width={100 * part:.0f}% />"
        "</svg></li>"
    )
