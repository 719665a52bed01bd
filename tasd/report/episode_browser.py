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
    for place, episode in enumerate(shown):
        parts.append(_episode(episode, thumbnails, key=key, opened=place == 0))
    label = escaped(f"episodes of {name}")
    return f"<div class=browser role=group aria-label='{label}'>{''.join(parts)}</div>"


def _episode(shown: ShownEpisode, thumbnails: Thumbnails, *, key: str, opened: bool) -> str:
    videos = sum(map(len, shown.support)) + len(shown.answers)
    frames = FRAMES if videos <= MOST_PICTURES else 1
    support = "".join(
        f"<li><span>{escaped(name)}</span>"
        + "".join(_video(video, thumbnails, frames=frames) for video in own)
        + "</li>"
        for name, own in zip(shown.classes, shown.support, strict=True)
    )
    answers = "".join(_answer(one, shown, thumbnails, frames=frames) for one in shown.answers)
    return (
        f"<details name={key}{' open' if opened else ''}>"
        f"<summary>Episode {shown.number:,}: {shown.right} of {len(shown.answers)} right</summary>"
        f"<h5>Support</h5><ul class=support>{support}</ul>"
        f"<h5>Queries</h5><ul class=answers>{answers}</ul></details>"
    )


def _video(video: str, thumbnails: Thumbnails, *, frames: int) -> str:
    name = escaped(video)
    made = thumbnails.strip(video, count=frames, height=HEIGHT)
    if made is None:
        return f"<small>{name}</small>"
    size = f"width={made.width} height={made.height}"
    return f"<img src='{made.address}' {size} alt='{name}' title='{name}'>"


def _answer(answer: Answer, shown: ShownEpisode, thumbnails: Thumbnails, *, frames: int) -> str:
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
        f"<li class={kind}>{_video(answer.video, thumbnails, frames=frames)}"
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
