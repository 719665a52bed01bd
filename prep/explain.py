"""Reasons of unreadable videos, and remarks on decoded ones, from the log of ffmpeg."""

from collections.abc import Sequence
from pathlib import Path

from prep.clip import Clip, UnreadableVideo
from prep.ffmpeg_log import FfmpegLog
from prep.ffmpeg_process import FfmpegRun
from prep.tracks import Track, best_track, chosen_remark
from tasd.datasets.content import file_head, is_encrypted, looks_like_video, not_a_video

LONGEST_SIDE = 65_500  # pixels of a JPEG
TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


def other_track(log: FfmpegLog, number: int) -> Track | None:
    """Return the track to decode in place of the first one; None where the first is right."""
    tracks = log.tracks.get(number, [])
    best = best_track(tracks)
    first = next((track for track in tracks if not track.attached), None)
    return best if best and first and best.index != first.index else None


def is_plain(log: FfmpegLog, number: int) -> bool:
    """True where there is nothing to choose or to remark about the tracks of a video."""
    tracks = [track for track in log.tracks.get(number, []) if not track.attached]
    return len(tracks) == 1 and not tracks[0].transfer


def unreadable(run: FfmpegRun, path: Path | None = None) -> UnreadableVideo:
    """Return the reason that a process gave no frames: ffmpeg's message where there is one."""
    message = run.log.cause or run.log.complaint
    code = run.code or run.log.code or "undecodable"
    if run.stopped:
        text = f"{run.failure}; {message}" if message else run.failure
        reason = UnreadableVideo(text, code=code)
    else:
        text = message or run.failure or "it has no frame that decodes"
        reason = UnreadableVideo(text, code=code)
    return explained(reason, run, path) if path else reason


def explained(reason: UnreadableVideo, run: FfmpegRun, path: Path) -> UnreadableVideo:
    """Return a better reason where the content of the file, or the size of its pictures, is one."""
    if reason.code not in ("undecodable", "no_video_stream", "container", "no_frames"):
        return reason
    head = file_head(path)
    if found := not_a_video(head):
        return UnreadableVideo(found[1], code=found[0])
    if is_encrypted(path):
        return _encrypted()
    if "resolutions above" in run.log.complaint and run.log.shapes:
        wide, high, _ = run.log.shapes[0]
        text = f"its pictures of {wide} x {high} pixels are too narrow for --resize short-side"
        return UnreadableVideo(f"{text}: a JPEG has at most {LONGEST_SIDE:,}", code="shape")
    # ffmpeg goes by the name of a file whose content it does not know.
    if "moov atom not found" in reason.args[0] and not looks_like_video(head):
        return UnreadableVideo("its content is of no known kind, not a video", code="unknown")
    if "moov atom not found" in reason.args[0]:
        return UnreadableVideo("moov atom not found: its end is missing", code="no_moov")
    return reason


def refuse_noise(clip: Clip, path: Path) -> None:
    """Raise `UnreadableVideo` where what was decoded with complaints is encrypted: it is noise."""
    if clip.complaint and is_encrypted(path):
        raise _encrypted()


def _encrypted() -> UnreadableVideo:
    return UnreadableVideo("it is encrypted (DRM), and prep has no key", code="encrypted")


def remarks_of(
    run: FfmpegRun,
    shapes: Sequence[tuple[int, int, float]],
    chosen: Sequence[int] | None,
    clip: Clip,
    *,
    tone_mapped: bool,
) -> tuple[tuple[str, str], ...]:
    """Return further remarks on a video that was decoded alone, each with its code."""
    remarks: list[tuple[str, str]] = []
    tracks = run.log.tracks.get(0, [])
    best = best_track(tracks)
    if best and (text := chosen_remark(tracks, best)):
        remarks.append(("tracks", text))
    if len(shapes) > 1:
        sizes = " and ".join(f"{wide} x {high}" for wide, high, _ in shapes[:3])
        remarks.append(("sizes", f"its pictures change size, {sizes}; later ones keep their shape"))
    if best and best.transfer:
        name = TRANSFERS[best.transfer]
        text = "tone-mapped" if tone_mapped else "not tone-mapped by this ffmpeg, and look pale"
        code = "tone_mapped" if tone_mapped else "hdr"
        remarks.append((code, f"its {name} colours (HDR) are {text}"))
    if chosen is not None and len({*chosen}) < min(len(chosen), clip.decoded):
        text = f"{len({*chosen})} different frames, evenly spaced in time; its rate is not constant"
        remarks.append(("variable_rate", text))
    return tuple(remarks)
