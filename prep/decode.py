"""Decoding of videos to clips: the choice of frames, shared processes, and checks of the output.

Frames are chosen by number in the pass that decodes them, from the count that the header claims.
ffmpeg then reports the true count. Where the choice was off, a second pass chooses from the true
count. Short videos share a process, because starting one costs as much as decoding them. Where
anything goes wrong in a shared process, each of its videos is decoded again in a process of its
own, so that the result of a video never depends on its neighbours.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.ffmpeg_log import frame_lines
from prep.ffmpeg_process import Ffmpeg, FfmpegRun, Request, run_ffmpeg
from prep.header import HeaderCount, header_count
from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size, split_stream
from prep.limits import Limits
from prep.select import (
    even_enough,
    rate_expression,
    repeat_evenly,
    select_expression,
    select_frames,
)

NO_FRAME = "0"  # the select expression that keeps no frame


class Decoder:
    """Decoder of videos with one ffmpeg, one choice of frames and one set of limits."""

    def __init__(self, tool: Ffmpeg, settings: FrameSettings, limits: Limits | None = None) -> None:
        self.tool = tool
        self.settings = settings
        self.limits = limits or Limits()

    def decode(self, paths: Sequence[Path]) -> list[Clip | UnreadableVideo]:
        """Return the clip of each video, or the reason that there is none. Paths must differ."""
        headers = {path: header_count(path) for path in paths}
        group = [path for path in paths if headers[path] or not self._needs_count]
        clips = self._decode_together(group, headers) if len(group) > 1 else {}
        return [clips.get(path) or self._decode_alone(path, headers[path]) for path in paths]

    @property
    def _needs_count(self) -> bool:
        """True where the choice of frames depends on their count."""
        return self.settings.fps is None and self.settings.frames is not None

    def _decode_together(
        self, paths: Sequence[Path], headers: Mapping[Path, HeaderCount | None]
    ) -> dict[Path, Clip]:
        """Decode videos in one process; return no clips where ffmpeg reports any error."""
        counts = [header.frames if (header := headers[path]) else None for path in paths]
        run = self._run(paths, counts)
        clips: dict[Path, Clip] = {}
        if not run.failure and not run.log.complaints:
            for number, path in enumerate(paths):
                with contextlib.suppress(UnreadableVideo):
                    clips[path] = self._clip(run, number, counts[number], headers[path])
        return clips

    def _decode_alone(self, path: Path, header: HeaderCount | None) -> Clip | UnreadableVideo:
        try:
            if path.is_file() and not path.stat().st_size:
                raise UnreadableVideo("the file is empty")
            if not self._needs_count:
                return self._clip(self._run([path], [None]), 0, None, header)
            count = header.frames if header else self._count(path)
            run = self._run([path], [count])
            decoded = run.log.decoded.get(0, 0)
            if decoded and not self._even(count, decoded):
                count, run = decoded, self._run([path], [decoded])
            return self._clip(run, 0, count, header)
        except UnreadableVideo as reason:
            return reason

    def _run(self, paths: Sequence[Path], counts: Sequence[int | None]) -> FfmpegRun:
        requests = [
            Request(path, self._expression(count))
            for path, count in zip(paths, counts, strict=True)
        ]
        return self._ffmpeg(requests)

    def _ffmpeg(self, requests: Sequence[Request]) -> FfmpegRun:
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
        """Count the frames of a video by decoding it, for headers without a count."""
        run = self._ffmpeg([Request(path, NO_FRAME)])
        decoded = run.log.decoded.get(0, 0)
        if not decoded:
            raise _unreadable(run)
        return decoded

    def _even(self, count: int, decoded: int) -> bool:
        return self.settings.frames is None or even_enough(count, decoded, self.settings.frames)

    def _clip(
        self, run: FfmpegRun, number: int, count: int | None, header: HeaderCount | None
    ) -> Clip:
        """Return the clip of one video of a finished process; its frames were chosen for ``count``.

        Raises `UnreadableVideo`.
        """
        jpegs = split_stream(run.streams[number])
        chosen, times = frame_lines(bytes(run.lines[number]))
        decoded = run.log.decoded.get(number, 0)
        if run.failure or not jpegs:
            raise _unreadable(run)
        if len(jpegs) != len(chosen):
            raise UnreadableVideo(f"{len(jpegs)} frames came where {len(chosen)} were chosen")
        size = _common_size(jpegs)
        frames = self.settings.frames
        if self._needs_count and frames and count:
            if not self._even(count, decoded) or chosen != sorted({*select_frames(count, frames)}):
                raise UnreadableVideo(f"other frames came than were asked for, of {decoded}")
            places = repeat_evenly(count, frames)
            jpegs, times = [jpegs[at] for at in places], [times[at] for at in places]
        return Clip(
            jpegs=tuple(jpegs),
            times=tuple(times),
            size=size,
            decoded=decoded,
            header_frames=_reliable_count(header, run),
            complaint=run.log.complaint,
        )


def _reliable_count(header: HeaderCount | None, run: FfmpegRun) -> int:
    """Return the header's count; 0 where it is inexact and ffmpeg found nothing wrong."""
    if header and (header.exact or run.log.complaints):
        return header.frames
    return 0


def _common_size(jpegs: Sequence[bytes]) -> tuple[int, int]:
    """Check the frames of a video and return their height and width. Raises `UnreadableVideo`."""
    try:
        sizes = {jpeg_size(jpeg) for jpeg in jpegs}
        check_decodes(jpegs[len(jpegs) // 2])
    except BrokenJpeg as error:
        raise UnreadableVideo(f"ffmpeg wrote a broken JPEG: {error}") from None
    if len(sizes) > 1:
        raise UnreadableVideo("its pictures change size on the way")
    return sizes.pop()


def _unreadable(run: FfmpegRun) -> UnreadableVideo:
    """Return the reason that a process gave no frames: ffmpeg's message where there is one."""
    message = run.log.cause or run.log.complaint
    if run.stopped:
        return UnreadableVideo(f"{run.failure}; {message}" if message else run.failure)
    return UnreadableVideo(message or run.failure or "it has no frame that decodes")
