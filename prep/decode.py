"""Videos in, clips out: which frames to ask for, in which company, and what to make of it.

Frames are chosen by count in the pass that decodes them, from the count that the header claims.
ffmpeg then says how many there really were; where the choice was off, a second pass chooses from
the true count. Short videos share a process, because starting one costs as much as decoding
them; unless all went perfectly well each of them then gets its own, so that what becomes of a
video never depends on its neighbours.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.ffmpeg_log import frame_lines
from prep.ffmpeg_process import Ffmpeg, Request, Run, run_ffmpeg
from prep.header import Promise, promised_frames
from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size, split_stream
from prep.limits import Limits
from prep.select import (
    even_enough,
    rate_expression,
    repeat_evenly,
    select_expression,
    select_frames,
)

NO_FRAME = "0"


class Decoder:
    """Decodes videos with one ffmpeg, one choice of frames and one set of limits."""

    def __init__(self, tool: Ffmpeg, settings: FrameSettings, limits: Limits | None = None) -> None:
        self.tool = tool
        self.settings = settings
        self.limits = limits or Limits()

    def decode(self, paths: Sequence[Path]) -> list[Clip | UnreadableVideo]:
        """The clip of each video, or why there is none. No path comes twice."""
        promised = {path: promised_frames(path) for path in paths}
        company = [path for path in paths if promised[path] or not self._counts]
        clips = self._together(company, promised) if len(company) > 1 else {}
        return [clips.get(path) or self._alone(path, promised[path]) for path in paths]

    @property
    def _counts(self) -> bool:
        """Whether the choice of frames needs their count."""
        return self.settings.fps is None and self.settings.frames is not None

    def _together(
        self, paths: Sequence[Path], promised: Mapping[Path, Promise | None]
    ) -> dict[Path, Clip]:
        """The clips that one process for all gives; none where anything went wrong at all."""
        claims = [promised[path] for path in paths]
        counts = [claim.frames if claim else None for claim in claims]
        run = self._run(paths, counts)
        clips: dict[Path, Clip] = {}
        if not run.failure and not run.said.complaints:
            for number, path in enumerate(paths):
                with contextlib.suppress(UnreadableVideo):
                    clips[path] = self._clip(run, number, counts[number], claims[number])
        return clips

    def _alone(self, path: Path, promised: Promise | None) -> Clip | UnreadableVideo:
        try:
            if path.is_file() and not path.stat().st_size:
                raise UnreadableVideo("the file is empty")
            if not self._counts:
                return self._clip(self._run([path], [None]), 0, None, promised)
            count = promised.frames if promised else self._count(path)
            run = self._run([path], [count])
            decoded = run.said.decoded.get(0, 0)
            if decoded and not self._even(count, decoded):
                count, run = decoded, self._run([path], [decoded])
            return self._clip(run, 0, count, promised)
        except UnreadableVideo as reason:
            return reason

    def _run(self, paths: Sequence[Path], counts: Sequence[int | None]) -> Run:
        requests = [
            Request(path, self._expression(count))
            for path, count in zip(paths, counts, strict=True)
        ]
        return self._ffmpeg(requests)

    def _ffmpeg(self, requests: Sequence[Request]) -> Run:
        settings = self.settings
        return run_ffmpeg(
            requests,
            tool=self.tool,
            resize=settings.resize,
            size=settings.size,
            limits=self.limits,
        )

    def _expression(self, count: int | None) -> str:
        if self.settings.fps is not None:
            return rate_expression(self.settings.fps)
        if self.settings.frames is None:
            return ""
        assert count
        return select_expression(count, self.settings.frames)

    def _count(self, path: Path) -> int:
        """How many frames a video has whose header does not say, counted by decoding it."""
        run = self._ffmpeg([Request(path, NO_FRAME)])
        decoded = run.said.decoded.get(0, 0)
        if not decoded:
            raise _unreadable(run)
        return decoded

    def _even(self, count: int, decoded: int) -> bool:
        return self.settings.frames is None or even_enough(count, decoded, self.settings.frames)

    def _clip(self, run: Run, number: int, count: int | None, promised: Promise | None) -> Clip:
        """One video of a process that has ended, whose frames were chosen for this count.

        Raises `UnreadableVideo`.
        """
        jpegs = split_stream(run.streams[number])
        chosen, times = frame_lines(bytes(run.lines[number]))
        decoded = run.said.decoded.get(number, 0)
        if run.failure or not jpegs:
            raise _unreadable(run)
        if len(jpegs) != len(chosen):
            raise UnreadableVideo(f"{len(jpegs)} frames came where {len(chosen)} were chosen")
        size = _checked(jpegs)
        frames = self.settings.frames
        if self._counts and frames and count:
            if not self._even(count, decoded) or chosen != sorted({*select_frames(count, frames)}):
                raise UnreadableVideo(f"other frames came than were asked for, of {decoded}")
            places = repeat_evenly(count, frames)
            jpegs, times = [jpegs[at] for at in places], [times[at] for at in places]
        return Clip(
            jpegs=tuple(jpegs),
            times=tuple(times),
            size=size,
            decoded=decoded,
            promised=_trusted(promised, run),
            complaint=run.said.complaint,
        )


def _trusted(promised: Promise | None, run: Run) -> int:
    """The count to hold a video to: length over rate is one only where something went wrong."""
    if promised and (promised.exact or run.said.complaints):
        return promised.frames
    return 0


def _checked(jpegs: Sequence[bytes]) -> tuple[int, int]:
    """The size that all frames of a video have. Raises `UnreadableVideo`."""
    try:
        sizes = {jpeg_size(jpeg) for jpeg in jpegs}
        check_decodes(jpegs[len(jpegs) // 2])
    except BrokenJpeg as error:
        raise UnreadableVideo(f"ffmpeg wrote a broken JPEG: {error}") from None
    if len(sizes) > 1:
        raise UnreadableVideo("its pictures change size on the way")
    return sizes.pop()


def _unreadable(run: Run) -> UnreadableVideo:
    """Why a process gave no frames: ffmpeg's own words where it has any."""
    said = run.said.cause or run.said.complaint
    if run.stopped:
        return UnreadableVideo(f"{run.failure}; {said}" if said else run.failure)
    return UnreadableVideo(said or run.failure or "it has no frame that decodes")
