"""Decoding of videos to clips: the choice of frames, shared processes, and checks of the output.

Frames are chosen by number in the pass that decodes them, from the count that the header claims.
Where these turn out not to be evenly spaced in time, because the count was off or the rate is not
constant, one pass times all frames, and another one decodes those that are. Short videos share a
process, because starting one costs as much as decoding them. Where anything is unusual in a shared
process, the video is decoded again in a process of its own, so that the result of a video never
depends on its neighbours.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prep.attempts import RETRIED, with_attempts
from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.explain import explained, is_plain, other_track, refuse_noise, remarks_of, unreadable
from prep.ffmpeg_log import frame_lines
from prep.ffmpeg_process import Ffmpeg, FfmpegRun, run_ffmpeg
from prep.filters import FIRST_TRACK, Request
from prep.header import HeaderCount, header_count
from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size, split_stream
from prep.limits import Limits
from prep.select import even_enough, rate_expression, resized, select_expression, select_frames
from prep.timeline import in_order, numbers_expression, select_in_time, shown_seconds, steady
from prep.tracks import best_track


class Decoder:
    """Decoder of videos with one ffmpeg, one choice of frames and one set of limits.

    patience: factor of the waiting time, for a machine that is busy.
    """

    def __init__(
        self,
        tool: Ffmpeg,
        settings: FrameSettings,
        limits: Limits | None = None,
        *,
        patience: float = 1.0,
    ) -> None:
        self.tool = tool
        self.settings = settings
        self.limits = limits or Limits()
        self.patience = patience

    def decode(self, paths: Sequence[Path]) -> list[Clip | UnreadableVideo]:
        """Return the clip of each video, or the reason that there is none. Paths must differ."""
        headers: dict[Path, HeaderCount | None] = {}
        for path in paths:
            with contextlib.suppress(OSError):
                headers[path] = header_count(path)
        group = [path for path in headers if self._may_share(headers[path])]
        clips = self._decode_together(group, headers) if len(group) > 1 else {}
        return [clips.get(path) or self._decode_alone(path) for path in paths]

    def _may_share(self, header: HeaderCount | None) -> bool:
        return not self._needs_count or (header is not None and header.steady)

    @property
    def _needs_count(self) -> bool:
        """True where the choice of frames depends on their count."""
        return self.settings.fps is None and self.settings.frames is not None

    def _decode_together(
        self, paths: Sequence[Path], headers: Mapping[Path, HeaderCount | None]
    ) -> dict[Path, Clip]:
        """Decode videos in one process; return no clips where ffmpeg reports any error."""
        counts = [header.frames if (header := headers[path]) else None for path in paths]
        clips: dict[Path, Clip] = {}
        try:
            run = self._run(paths, counts)
        except (OSError, MemoryError):
            return clips
        if not run.failure and not run.log.complaints and len(run.log.shapes) == len(paths):
            for number, path in enumerate(paths):
                if is_plain(run.log, number) and self._good(run, number, counts[number]):
                    with contextlib.suppress(UnreadableVideo):
                        clips[path] = self._clip(run, number, headers[path], count=counts[number])
        return clips

    def _decode_alone(self, path: Path) -> Clip | UnreadableVideo:
        """Decode one video, again where the cause of a failure lies outside the file."""

        def attempt(number: int) -> Clip:
            patient = Decoder(self.tool, self.settings, self.limits, patience=2.0**number)
            return patient._decode_once(path, header_count(path))

        return with_attempts(attempt, [path])

    def _decode_once(self, path: Path, header: HeaderCount | None) -> Clip:
        if path.is_file() and not path.stat().st_size:
            raise UnreadableVideo("the file is empty", code="empty")
        count = header.frames if header and header.steady and self._needs_count else None
        if count or not self._needs_count:
            run = self._run([path], [count])
            if run.failure and (run.code or run.log.code) in RETRIED:
                raise unreadable(run, path)
            other = other_track(run.log, 0)
            if other is None and self._good(run, 0, count):
                return self._checked(path, run, header, request=self._request(path, count))
            if not self._needs_count and other is not None:
                request = replace(self._request(path, None), stream=str(other.index))
                return self._checked(path, self._ffmpeg([request]), None, request=request)
        return self._decode_timed(path, header)

    def _decode_timed(self, path: Path, header: HeaderCount | None) -> Clip:
        """Time all frames first, then decode those that are evenly spaced in time."""
        timing = self._ffmpeg([Request(path, times_only=True)])
        other, stream = other_track(timing.log, 0), FIRST_TRACK
        if other is not None:
            header, stream = None, str(other.index)
            timing = self._ffmpeg([Request(path, stream=stream, times_only=True)])
        _, times = frame_lines(bytes(timing.lines[0]))
        if timing.failure or not times:
            raise unreadable(timing, path)
        assert self.settings.frames
        chosen = select_in_time(times, self.settings.frames)
        request = Request(path, self._numbers(len(times), chosen), stream=stream)
        run = self._ffmpeg([request])
        seconds = shown_seconds(times)
        clip = self._checked(path, run, header, request=request, chosen=chosen, seconds=seconds)
        shown = tuple(in_order([times[n] for n in chosen]))
        return replace(clip, times=shown, doubt=clip.doubt or timing.log.outside)

    def _checked(
        self,
        path: Path,
        run: FfmpegRun,
        header: HeaderCount | None,
        *,
        request: Request,
        chosen: Sequence[int] | None = None,
        seconds: float = 0.0,
    ) -> Clip:
        """Return the clip of a video that was decoded alone; fit pictures that change their size.

        Raises `UnreadableVideo`.
        """
        shapes = list(dict.fromkeys(run.log.shapes))
        if len(shapes) > 1:
            _, high, shape = shapes[0]
            across = high * shape  # of square pixels
            fit = resized(across, high, resize=self.settings.resize, size=self.settings.size)
            request = replace(request, fit=(*fit, shape))
            run = self._ffmpeg([request])
        run, mapped = self._tone_mapped(run, request)
        count = header.frames if header and chosen is None and self._needs_count else None
        try:
            clip = self._clip(run, 0, header, count=count, chosen=chosen, seconds=seconds)
        except UnreadableVideo as reason:
            raise explained(reason, run, path) from None
        refuse_noise(clip, path)
        remarks = remarks_of(run, shapes, chosen, clip, tone_mapped=mapped)
        return replace(clip, remarks=remarks)

    def _tone_mapped(self, run: FfmpegRun, request: Request) -> tuple[FfmpegRun, bool]:
        """Decode HDR again with its tones mapped; the run as it was where ffmpeg cannot do that."""
        best = best_track(run.log.tracks.get(0, []))
        if run.failure or best is None or not best.transfer:
            return run, False
        mapped = self._ffmpeg([replace(request, tone_map=True, assumed=best.assumed)])
        outside = (mapped.code or mapped.log.code) in RETRIED
        taken = outside or (not mapped.failure and bool(mapped.streams[0]))
        return (mapped, True) if taken else (run, False)

    def _good(self, run: FfmpegRun, number: int, count: int | None) -> bool:
        """True where the frames that were chosen for a count are evenly spaced in time."""
        frames = self.settings.frames
        if count is None or frames is None or not run.log.decoded.get(number):
            return not self._needs_count
        numbers, times = frame_lines(bytes(run.lines[number]))
        return even_enough(count, run.log.decoded[number], frames) and steady(
            numbers, times, count=count, frames=frames
        )

    def _numbers(self, count: int, chosen: Sequence[int]) -> str:
        frames = self.settings.frames
        if frames and list(chosen) == select_frames(count, frames):
            return select_expression(count, frames)
        return numbers_expression(chosen)

    def _run(self, paths: Sequence[Path], counts: Sequence[int | None]) -> FfmpegRun:
        pairs = zip(paths, counts, strict=True)
        return self._ffmpeg([self._request(path, count) for path, count in pairs])

    def _request(self, path: Path, count: int | None) -> Request:
        return Request(path, self._expression(count))

    def _ffmpeg(self, requests: Sequence[Request]) -> FfmpegRun:
        settings = self.settings
        return run_ffmpeg(
            requests,
            tool=self.tool,
            resize=settings.resize,
            size=settings.size,
            limits=self.limits,
            patience=self.patience,
        )

    def _expression(self, count: int | None) -> str:
        if self.settings.fps is not None:
            return rate_expression(self.settings.fps)
        if self.settings.frames is None:
            return ""
        assert count
        return select_expression(count, self.settings.frames)

    def _clip(
        self,
        run: FfmpegRun,
        number: int,
        header: HeaderCount | None,
        *,
        count: int | None = None,
        chosen: Sequence[int] | None = None,
        seconds: float = 0.0,
    ) -> Clip:
        """Return the clip of one video of a finished process.

        Its frames were chosen for a ``count``, or these were ``chosen``; else all that came are
        kept. seconds: its length, where that is known. Raises `UnreadableVideo`.
        """
        jpegs = split_stream(run.streams[number])
        came, times = frame_lines(bytes(run.lines[number]))
        decoded = run.log.decoded.get(number, 0)
        if run.failure or not jpegs:
            raise unreadable(run)
        if len(jpegs) != len(came):
            raise UnreadableVideo(f"{len(jpegs)} frames came where {len(came)} were chosen")
        size = _common_size(jpegs)
        if count and chosen is None and self.settings.frames:
            chosen = select_frames(count, self.settings.frames)
        if chosen is not None:
            place = {frame: at for at, frame in enumerate(came)}
            if not place.keys() >= {*chosen}:
                raise UnreadableVideo(f"other frames came than were asked for, of {decoded}")
            jpegs = [jpegs[place[frame]] for frame in chosen]
            times = [times[place[frame]] for frame in chosen]
        elif header and times:
            seconds = shown_seconds(times) + (1 / self.settings.fps if self.settings.fps else 0)
        return Clip(
            jpegs=tuple(jpegs),
            times=tuple(in_order(times)),
            size=size,
            decoded=decoded,
            header_frames=_reliable_count(header, run),
            complaint=run.log.complaint,
            seconds=seconds,
            header_seconds=header.seconds if header and seconds else 0.0,
            doubt=run.log.outside,
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
        raise UnreadableVideo("its pictures change size on the way", code="size_changes")
    return sizes.pop()
