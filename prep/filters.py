"""One video for ffmpeg, and the filters that choose, resize and convert its frames."""

from dataclasses import dataclass
from pathlib import Path

from prep.select import Resize, fit_expressions, resize_expressions

FIRST_TRACK = "V:0"  # the first video track that is not cover art
# HDR to a usual screen: reference white (203 cd/m2, ITU-R BT.2408) is nearly white, 1,000 cd/m2
# and more are white, and what is darker than a third of it stays.
TONE_MAP = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:peak=4.926,"
    "zscale=t=bt709:p=bt709:m=170m:r=full"
)
# The encoder refuses times that are equal or go back, so such a frame comes a tick later.
FORWARD = "setpts='if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+1))'"


@dataclass(frozen=True)
class Request:
    """One video, and the ``select`` expression of its frames; without one, all frames.

    stream: ffmpeg's name of the track. times_only: frames are timed and not encoded.
    fit: width and height, and the shape (width over height) that pictures of other sizes are
    fitted into; None where all pictures have one size. tone_map: HDR colours become those of a
    usual screen; assumed: their colours that the file does not tell, for ``setparams``.
    """

    path: Path
    select: str = ""
    stream: str = FIRST_TRACK
    times_only: bool = False
    fit: tuple[int, int, float] | None = None
    tone_map: bool = False
    assumed: str = ""


def filters(request: Request, *, resize: Resize, size: int) -> str:
    """Return the chain of ffmpeg's filters that choose, resize and convert the frames."""
    # JPEG readers assume BT.601 colours in full range.
    colours = "" if request.tone_map else ":out_range=pc:out_color_matrix=bt601"
    chosen = [f"select='{request.select}'"] if request.select else []
    if request.fit:
        wide, high, shape = request.fit
        width, height = fit_expressions(wide, high, shape)
        scale = [f"scale=w='{width}':h='{height}':eval=frame{colours}"]
        scale += [] if request.tone_map else ["format=yuvj420p"]
        scale += [f"pad={wide}:{high}:(ow-iw)/2:(oh-ih)/2:eval=frame"]
    else:
        width, height = resize_expressions(resize, size)
        scale = [f"scale=w='{width}':h='{height}'{colours}"]
    if request.tone_map:
        scale += [f"setparams={request.assumed}"] if request.assumed else []
        scale += [TONE_MAP]
    return ",".join([*chosen, *scale, "setsar=1", "format=yuvj420p", FORWARD])
