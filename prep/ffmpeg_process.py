"""The only file that speaks to ffmpeg: a few videos in, their chosen frames out as JPEGs.

One process, one pass: frames are counted as they are decoded, the chosen ones are resized in the
colours they were coded in and leave through a pipe of their own, one for each video. What ffmpeg
says while it works tells the rest: when each frame is shown, how many were decoded, what hurt.

The files may come from anywhere, so ffmpeg may open nothing but the file it is given, as one of
the containers listed here, within limits of time, memory and picture size.
"""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ffmpeg

from prep.ffmpeg_log import Transcript
from prep.limits import Limits, limit_process
from prep.pipes import drain, pipes, widen
from prep.select import Resize, resize_expressions
from tasd.errors import UserError

# Containers of one file. Not among them: concat, hls, dash, image2, sdp and other texts that
# name further files, and devices.
CONTAINERS = (
    "3gp,amv,asf,avi,dirac,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,roq,vc1,webm,wtv"
)
JPEG_QUALITY = 2  # of ffmpeg's 2 to 31; about 95 of libjpeg's 100
# For each chosen frame: its number among the decoded ones, and its time as ticks and their length.
FRAME_LINE = "{ni} {pts} {tb}"
ABILITIES = (
    "-loglevel quiet -f lavfi -i color=size=16x16:duration=0.1 -fps_mode passthrough -c:v mjpeg "
    f"-enc_time_base demux -stats_enc_pre pipe:1 -stats_enc_pre_fmt {FRAME_LINE.split()[0]} "
    "-f null -"
).split()


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg program, and what it calls its version."""

    program: str
    version: str


@dataclass(frozen=True)
class Request:
    """One video, and which of its frames are wanted: a ``select`` expression; all without one."""

    path: Path
    select: str = ""


@dataclass
class Run:
    """What one ffmpeg process did, video by video, and what it said.

    streams: the chosen frames, JPEG after JPEG. lines: a line about each of them.
    failure: why the process as a whole did not succeed; empty when it did.
    stopped: it did not end by itself.
    """

    streams: list[bytearray]
    lines: list[bytearray]
    said: Transcript = field(default_factory=Transcript)
    failure: str = ""
    stopped: bool = False


def find_ffmpeg(program: str | None = None) -> Ffmpeg:
    """The program named here, else by ``TASD_FFMPEG``, else the one of imageio-ffmpeg.

    Raises `UserError` where it cannot be run, or is too old.
    """
    import imageio_ffmpeg

    chosen = program or os.environ.get("TASD_FFMPEG")
    try:
        chosen = chosen or str(imageio_ffmpeg.get_ffmpeg_exe())
        words = _said(chosen, "-version").split()
        # What older ones lack; a version need not be a number.
        abilities = _said(chosen, *ABILITIES).split()
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        words, abilities = [], []
    if words[:2] == ["ffmpeg", "version"] and abilities:
        return Ffmpeg(chosen or "", words[2])
    raise UserError(
        f"{chosen or 'ffmpeg'!r} is no ffmpeg that prep could use; name a program of version 6.1 "
        "or later with --ffmpeg, or install imageio-ffmpeg"
    )


def _said(program: str, *arguments: str) -> str:
    command = [program, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, env=_environment())
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Without what would have ffmpeg write a log of its own, or colour what it says."""
    ours = {k: v for k, v in os.environ.items() if k != "FFREPORT" and not k.startswith("AV_LOG_")}
    return {**ours, "AV_LOG_FORCE_NOCOLOR": "1"}


def ffmpeg_here(tool: Ffmpeg) -> Ffmpeg:
    """The same ffmpeg on this machine, which need not be the one that found it.

    Raises `UserError` where there is none of the same version.
    """
    if shutil.which(tool.program):
        return tool
    own = find_ffmpeg()
    if own.version != tool.version:
        raise UserError(
            f"{platform.node()} has ffmpeg {own.version}, and the prep was begun with "
            f"{tool.version}; install the same imageio-ffmpeg on every worker"
        )
    return own


def run_ffmpeg(
    requests: Sequence[Request], *, tool: Ffmpeg, resize: Resize, size: int, limits: Limits
) -> Run:
    """Decode some videos in one process. What goes wrong with them is told in the `Run`."""
    run = Run([bytearray() for _ in requests], [bytearray() for _ in requests])
    with pipes(1 + 2 * len(requests)) as (reads, writes):
        talk, *frames = writes
        streams, lines = frames[: len(requests)], frames[len(requests) :]
        for stream in streams:
            widen(stream)
        outputs = [
            _output(request, stream, line, resize=resize, size=size, limits=limits)
            for request, stream, line in zip(requests, streams, lines, strict=True)
        ]
        process = subprocess.Popen(
            _command(tool, outputs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=talk,
            pass_fds=frames,
            env=_environment(),
        )
        while writes:
            os.close(writes.pop())
        try:
            _follow(process, run, reads, requests, limits)
        finally:
            process.kill()
            process.wait()
    return run


def _output(
    request: Request, stream: int, line: int, *, resize: Resize, size: int, limits: Limits
) -> ffmpeg.nodes.OutputStream:
    source = ffmpeg.input(
        f"file:{request.path}",
        protocol_whitelist="file,pipe",
        format_whitelist=CONTAINERS,
        max_pixels=limits.pixels,
        threads=1,
        # A change of picture size within a video must not start its count of frames anew.
        reinit_filter=0,
    )
    # A filter graph for each output, for the same reason: not one for all of them.
    return ffmpeg.output(
        source["V:0"],  # the first stream of moving pictures: cover art is not one
        f"pipe:{stream}",
        vf=_filters(request.select, resize=resize, size=size),
        fps_mode="passthrough",
        enc_time_base="demux",  # the ticks of the container: times are not rounded to a frame rate
        stats_enc_pre=f"pipe:{line}",
        stats_enc_pre_fmt=FRAME_LINE,
        format="mjpeg",
        threads=1,
        huffman="default",  # an eighth of the encoding time for a twenty-fifth of the bytes
        **{"q:v": JPEG_QUALITY},
    )


def _filters(select: str, *, resize: Resize, size: int) -> str:
    width, height = resize_expressions(resize, size)
    # Readers of JPEG take the colours of BT.601 in full range for granted.
    scale = f"scale=w='{width}':h='{height}':out_range=pc:out_color_matrix=bt601"
    chosen = [f"select='{select}'"] if select else []
    return ",".join([*chosen, scale, "setsar=1", "format=yuvj420p"])


def _command(tool: Ffmpeg, outputs: Sequence[ffmpeg.nodes.OutputStream]) -> list[str]:
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose")
    # Workers are what runs side by side; threads within a picture only wait for each other.
    one = ("-filter_threads", "1")
    command: list[str] = merged.global_args(*quiet, *one).compile(cmd=tool.program)
    return command


def _follow(
    process: subprocess.Popen[bytes],
    run: Run,
    reads: Sequence[int],
    requests: Sequence[Request],
    limits: Limits,
) -> None:
    """Read all that a process has to give until it ends or reaches a limit."""
    sizes = [path.stat().st_size for path in (r.path for r in requests) if path.is_file()]
    mib = sum(sizes) / 2**20
    seconds = limits.seconds + mib * limits.seconds_per_mib
    deadline = time.monotonic() + seconds
    takers = [run.said.hear, *(into.extend for into in [*run.streams, *run.lines])]

    def full() -> bool:
        return sum(map(len, run.streams)) > limits.output_mib << 20

    limit_process(process.pid, seconds=seconds, memory_mib=limits.memory_mib)
    try:
        if not drain(dict(zip(reads, takers, strict=True)), deadline, full=full):
            run.failure = f"its frames take more than {limits.output_mib} MiB; ask for fewer"
            run.stopped = True
            return
        code = process.wait(max(deadline - time.monotonic(), 0.1))
    except (TimeoutError, subprocess.TimeoutExpired):
        run.failure = f"decoding it took more than {seconds:.0f} seconds; see --seconds"
        run.stopped = True
        return
    if code:
        run.failure = f"ffmpeg ended with {f'signal {-code}' if code < 0 else f'code {code}'}"
        run.stopped = code < 0
