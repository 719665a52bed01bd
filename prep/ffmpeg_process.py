"""Run ffmpeg on a few videos and collect their chosen frames as JPEGs.

One process decodes all videos in one pass. The chosen frames are resized in the colour space they
were coded in, and each video has a pipe of its own for them. A second pipe of each video carries
the times of its frames; ffmpeg's log has the frame counts and the errors. No other module of prep
runs ffmpeg.

Videos are not trusted: ffmpeg may open only the file it is given, as one of the containers listed
here, within limits of time, memory and picture size.
"""

import errno
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import ffmpeg

from prep.ffmpeg_log import FfmpegLog
from prep.filters import FORWARD, Request, filters
from prep.limits import Limits, free_mib, limit_process, processor_seconds
from prep.pipes import drain, pipes, widen
from prep.select import Resize
from tasd.errors import UserError

# Containers of a single file. Left out are devices, and formats that name further files, such as
# concat, hls, dash, image2 and sdp.
CONTAINERS = (
    "3gp,amv,asf,avi,dirac,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,roq,vc1,webm,wtv"
)
JPEG_QUALITY = 2  # of ffmpeg's 2 to 31; about 95 of libjpeg's 100
# For each chosen frame: its number among the decoded ones, its time in ticks, and a tick in
# seconds; then both as the file has them.
FRAME_LINE = "{ni} {pts} {tb} {ptsi} {tbi}"
# Signals that the video itself may cause, by a fault of the decoder or the limit of its time.
OWN_SIGNALS = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGXCPU,
)
# A process that took longer than its limit and used less of a processor had to wait.
BUSY_SHARE = 0.8
NEVER_STARTED = (126, 127)  # exit codes of shells and of the loader of programs
NO_PROGRAM = (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR)
# A tiny job with options that older versions lack; it fails or prints nothing there.
TRIAL = (
    "-loglevel quiet -f lavfi -i color=size=16x16:duration=0.1 -fps_mode passthrough -c:v mjpeg "
    f"-enc_time_base filter -stats_enc_pre pipe:1 -stats_enc_pre_fmt {FRAME_LINE.split()[0]} "
    "-f null -"
).split()


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg program, and its version as it reports it."""

    program: str
    version: str


@dataclass
class FfmpegRun:
    """Output of one ffmpeg process for each of its videos, and its log.

    streams: the chosen frames, JPEG after JPEG. lines: a `FRAME_LINE` for each of them.
    failure: the reason that the process as a whole failed; empty where it succeeded.
    stopped: True where the process was stopped, or ended by a signal. code: of the failure.
    """

    streams: list[bytearray]
    lines: list[bytearray]
    log: FfmpegLog = field(default_factory=FfmpegLog)
    failure: str = ""
    stopped: bool = False
    code: str = ""


def find_ffmpeg(program: str | None = None) -> Ffmpeg:
    """Find ffmpeg: the program given here, else ``TASD_FFMPEG``, else that of imageio-ffmpeg.

    Raises `UserError` where it cannot be run, or is too old.
    """
    import imageio_ffmpeg

    chosen = program or os.environ.get("TASD_FFMPEG")
    try:
        chosen = chosen or str(imageio_ffmpeg.get_ffmpeg_exe())
        words = _output_of(chosen, "-version").split()
        # A version need not be a number, so a trial tells whether it is new enough.
        trial = _output_of(chosen, *TRIAL).split()
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        words, trial = [], []
    if words[:2] == ["ffmpeg", "version"] and trial:
        return Ffmpeg(chosen or "", words[2])
    raise UserError(
        f"{chosen or 'ffmpeg'!r} is not an ffmpeg that prep can use; name a program of version 6.1 "
        "or later with --ffmpeg, or install imageio-ffmpeg"
    )


def _output_of(program: str, *arguments: str) -> str:
    command = [program, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, env=_environment())
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Return the environment without variables that make ffmpeg write log files or colours."""
    kept = {k: v for k, v in os.environ.items() if k != "FFREPORT" and not k.startswith("AV_LOG_")}
    return {**kept, "AV_LOG_FORCE_NOCOLOR": "1"}


def ffmpeg_here(tool: Ffmpeg) -> Ffmpeg:
    """Find the same version of ffmpeg on this machine, which may be another one of a cluster.

    Raises `UserError` where there is none of the same version.
    """
    if shutil.which(tool.program):
        return tool
    own = find_ffmpeg()
    if own.version != tool.version:
        raise UserError(
            f"{platform.node()} has ffmpeg {own.version}, but this prep was started with "
            f"{tool.version}; install the same imageio-ffmpeg on every worker"
        )
    return own


def run_ffmpeg(
    requests: Sequence[Request],
    *,
    tool: Ffmpeg,
    resize: Resize,
    size: int,
    limits: Limits,
    patience: float = 1.0,
) -> FfmpegRun:
    """Decode some videos in one process; errors are reported in the `FfmpegRun`.

    patience: factor of the waiting time, for a machine that is busy. Raises `OSError` where no
    process can be started now, and `UserError` where the program is gone.
    """
    run = FfmpegRun([bytearray() for _ in requests], [bytearray() for _ in requests])
    with pipes(1 + 2 * len(requests)) as (reads, writes):
        log, *frames = writes
        streams, lines = frames[: len(requests)], frames[len(requests) :]
        for stream in streams:
            widen(stream)
        outputs = [
            _output(request, stream, line, resize=resize, size=size, limits=limits)
            for request, stream, line in zip(requests, streams, lines, strict=True)
        ]
        process = _start(_command(tool, outputs), log, frames)
        while writes:
            os.close(writes.pop())
        try:
            _collect(process, run, reads, requests, limits, patience)
        finally:
            process.kill()
            process.wait()
    return run


def _start(command: list[str], log: int, passed: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=passed,
            env=_environment(),
        )
    except OSError as error:
        if error.errno not in NO_PROGRAM:
            raise
        raise UserError(
            f"{command[0]!r} cannot be started any more ({error.strerror}); finished shards are "
            "kept: run the same command again, or name another program with --ffmpeg"
        ) from None


def _output(
    request: Request, stream: int, line: int, *, resize: Resize, size: int, limits: Limits
) -> ffmpeg.nodes.OutputStream:
    source = ffmpeg.input(
        f"file:{request.path}",
        protocol_whitelist="file,pipe",
        format_whitelist=CONTAINERS,
        max_pixels=limits.pixels,
        threads=1,
        # A change of picture size within a video must not restart its frame numbers.
        reinit_filter=0,
    )
    # Each output has a filter graph of its own, for the same reason.
    lines = {"stats_enc_pre": f"pipe:{line}", "stats_enc_pre_fmt": FRAME_LINE}
    passed = {"fps_mode": "passthrough", "enc_time_base": "filter", "threads": 1}
    if request.times_only:
        return ffmpeg.output(
            source[request.stream],
            "-",
            vf=FORWARD,
            format="null",
            **{"c:v": "wrapped_avframe"},
            **passed,
            **lines,
        )
    return ffmpeg.output(
        source[request.stream],
        f"pipe:{stream}",
        vf=filters(request, resize=resize, size=size),
        format="mjpeg",
        huffman="default",  # saves 12 % of the encoding time for 4 % more bytes
        **{"q:v": JPEG_QUALITY},
        **passed,
        **lines,
    )


def _command(tool: Ffmpeg, outputs: Sequence[ffmpeg.nodes.OutputStream]) -> list[str]:
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose")
    # The workers run in parallel; more threads within one picture would only wait.
    one = ("-filter_threads", "1")
    command: list[str] = merged.global_args(*quiet, *one).compile(cmd=tool.program)
    return command


def _collect(
    process: subprocess.Popen[bytes],
    run: FfmpegRun,
    reads: Sequence[int],
    requests: Sequence[Request],
    limits: Limits,
    patience: float,
) -> None:
    """Read all output of a process until it ends or reaches a limit."""
    sizes = [path.stat().st_size for path in (r.path for r in requests) if path.is_file()]
    mib = sum(sizes) / 2**20
    seconds = limits.seconds + mib * limits.seconds_per_mib
    deadline = time.monotonic() + seconds * patience
    takers = [run.log.feed, *(into.extend for into in [*run.streams, *run.lines])]

    def full() -> bool:
        return sum(map(len, run.streams)) > limits.output_mib << 20

    limit_process(process.pid, seconds=seconds, memory_mib=limits.memory_mib)
    try:
        if not drain(dict(zip(reads, takers, strict=True)), deadline, full=full):
            run.failure = f"its frames take more than {limits.output_mib} MiB; ask for fewer"
            run.stopped, run.code = True, "output_limit"
            return
        code = process.wait(max(deadline - time.monotonic(), 0.1))
    except (TimeoutError, subprocess.TimeoutExpired):
        run.failure = f"decoding it took more than {seconds * patience:.0f} seconds; see --seconds"
        # A process that used less processor time was waiting for a busy machine or disk.
        busy = processor_seconds(process.pid) < BUSY_SHARE * seconds
        run.stopped, run.code = True, "busy" if busy else "time_limit"
        return
    if code:
        _explain_end(run, code)
    run.log.explain_memory(limits.memory_mib, free_mib())


def _explain_end(run: FfmpegRun, code: int) -> None:
    """Note why a process failed: its exit code, negative for a signal."""
    by_signal = -code if code < 0 else run.log.signal
    run.failure = f"ffmpeg ended with {f'signal {by_signal}' if by_signal else f'code {code}'}"
    run.stopped = by_signal > 0
    if by_signal == signal.SIGXCPU:
        run.code = "time_limit"
    elif by_signal and by_signal not in OWN_SIGNALS:
        run.code = "killed"
    elif code in NEVER_STARTED:
        run.code = "no_resources"
