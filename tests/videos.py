"""Test clips, each made by the ffmpeg line that stands here: nothing is downloaded.

The pictures are ffmpeg's own test patterns. Frame sizes and lengths are small: a clip takes
some ten milliseconds to make.
"""

import os
import subprocess
from pathlib import Path

import imageio_ffmpeg

QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-bitexact")
PATTERN = "-f lavfi -i testsrc=size={size}:rate=10:duration={seconds}"
SMALL = PATTERN.format(size="64x48", seconds=1)
LONGER = PATTERN.format(size="64x48", seconds=4)
TALL = PATTERN.format(size="48x64", seconds=1)
ODD = PATTERN.format(size="65x47", seconds=1)
FAST = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"

# What a collection off the internet holds, ten frames each where nothing else is said.
CLIPS = {
    "mpeg4.avi": f"{SMALL} -c:v mpeg4",
    "mpeg4_forty.avi": f"{LONGER} -c:v mpeg4 -bf 2",
    "h264.mp4": f"{SMALL} {FAST}",
    "h264_forty.mp4": f"{LONGER} -c:v libx264 -pix_fmt yuv420p -bf 2",
    "h264_sound.mkv": f"{LONGER} -f lavfi -i sine=duration=4 {FAST} -c:a libvorbis",
    "fragmented.mp4": f"{LONGER} {FAST} -movflags frag_keyframe+empty_moov",
    "stream.ts": f"{LONGER} {FAST}",
    "bare.h264": f"{LONGER} {FAST}",
    "yuv444.mp4": f"{SMALL} -c:v libx264 -preset ultrafast -pix_fmt yuv444p",
    "ten_bit.mp4": f"{SMALL} -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
    "odd_size.mp4": f"{ODD} -c:v libx264 -preset ultrafast -pix_fmt yuv444p",
    "hevc.mp4": f"{SMALL} -c:v libx265 -x265-params log-level=error",
    "vp8_alpha.webm": f"{SMALL} -c:v libvpx -auto-alt-ref 0 -pix_fmt yuva420p",
    "vp9.webm": f"{SMALL} -c:v libvpx-vp9",
    "mpeg1.mpg": f"{PATTERN.format(size='64x48', seconds=1).replace('rate=10', 'rate=25')} "
    "-c:v mpeg1video",
    "flash.flv": f"{SMALL} -c:v flv",
    "windows.wmv": f"{SMALL} -c:v wmv2",
    "h263.3gp": f"{PATTERN.format(size='128x96', seconds=1)} -c:v h263",
    "animated.gif": SMALL,
    "motion_jpeg.avi": f"{SMALL} -c:v mjpeg -pix_fmt yuvj420p",
    "wide_pixels.mp4": f"{SMALL} -vf setsar=16/9 {FAST}",
    "variable_rate.mkv": f"{LONGER} -vf select='not(mod(n\\,3))+gt(n\\,30)' -fps_mode vfr {FAST}",
    "two_videos.mp4": f"{SMALL} {TALL} -map 0:v -map 1:v {FAST}",
    "cover_art.mp4": f"{TALL} {SMALL} -map 0:v -map 1:v -c:v:0 png -disposition:v:0 attached_pic "
    "-c:v:1 libx264 -preset ultrafast -pix_fmt:v:1 yuv420p",
    "sound_only.mp4": "-f lavfi -i sine=duration=1",
    "one_frame.mp4": f"{SMALL} {FAST} -frames:v 1",
    "one_pixel.mp4": f"{PATTERN.format(size='1x1', seconds=1)} -c:v libx264 -pix_fmt yuv444p",
}


def run_ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg that prep would."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *QUIET, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_clip(folder: Path, name: str) -> Path:
    """One of the `CLIPS`, in a folder of the test's own."""
    path = folder / name
    run_ffmpeg(*CLIPS[name].replace("'", "").split(), path)
    return path


def make_rotated(folder: Path, degrees: int) -> Path:
    """A clip 64 wide and 48 high that a player must turn."""
    upright = make_clip(folder, "h264.mp4")
    path = folder / f"rotated_{degrees}.mp4"
    run_ffmpeg("-display_rotation", str(degrees), "-i", upright, "-c", "copy", path)
    return path


def make_changing(folder: Path) -> Path:
    """A clip whose pictures change their size half way: 64 x 48, then 48 x 64."""
    parts = []
    for number, line in enumerate((SMALL, TALL)):
        parts.append(folder / f"part{number}.ts")
        run_ffmpeg(*line.split(), *FAST.split(), parts[-1])
    path = folder / "changing.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def make_tree(root: Path, clip: Path, *, classes: int, videos: int) -> Path:
    """``<class>/<video>`` of hard links to one clip."""
    for class_number in range(classes):
        folder = root / f"class {class_number:02}"
        folder.mkdir(parents=True)
        for number in range(videos):
            os.link(clip, folder / f"video_{number:03}{clip.suffix}")
    return root
