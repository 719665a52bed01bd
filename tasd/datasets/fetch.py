"""Download of CMN's lists of Kinetics videos: pinned, checked, cached."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasd.errors import UserError
from tasd.files import replacing

# Compound memory networks (Zhu and Yang, ECCV 2018); no licence is given, so no copy is shipped.
CMN_URL = (
    "https://raw.githubusercontent.com/ffmpbgrnn/CMN/"
    "23b5ef3e6defd4ee93e97131eb3c0b7926481f56/kinetics-100"
)
CMN_SHA256 = {
    "train": "d0cbdcaa6fd4a28c8a514e85dd47407a4124ba3d8187aadd0a41c47636d592ae",
    "val": "e3144200327ce31bc5be0e1efb1107c6c7f2912c95eb2457095374b2c22bf74a",
    "test": "9c2351cf070ad7d052f1fb2885e5e4b246da7a38d06cb730bf7473eeb7173d09",
}
LARGEST = 16 << 20  # bytes; the lists have under 300 kB
PAUSES = (1.0, 2.0, 4.0)  # seconds before the second, third and fourth attempt


@dataclass(frozen=True)
class Patience:
    """Limits on waiting, in seconds: without a byte, for a whole file, and between attempts."""

    silence: float = 15.0
    whole: float = 60.0
    pauses: tuple[float, ...] = PAUSES


class _Failure(Exception):
    """One failed attempt; ``again`` is True where another attempt may succeed."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(" ".join(reason.split()))  # some servers answer in several lines
        self.again = again


def cache_folder() -> Path:
    """Return the folder of downloads: TASD_HOME, else a folder in the user's cache."""
    home = os.environ.get("TASD_HOME")
    return Path(home) if home else Path.home() / ".cache" / "tasd"


def cmn_list_path(split: str) -> Path:
    """Return the path of the cached list of a split, which may also be put there by hand."""
    return cache_folder() / "lists" / "kinetics" / f"{split}.list"


def cached_cmn_lists() -> dict[str, Path]:
    """Return the paths of CMN's cached lists. Raises `UserError` for one with other content."""
    found = {split: path for split in CMN_SHA256 if (path := cmn_list_path(split)).is_file()}
    for split, path in found.items():
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got != CMN_SHA256[split]:
            raise UserError(
                f"{path} is not CMN's {split} list (sha256 {got[:12]}..., not "
                f"{CMN_SHA256[split][:12]}...); delete it and run tasd splits fetch kinetics"
            )
    return found


def fetch_cmn_lists(
    *,
    base_url: str = CMN_URL,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Path]:
    """Download the lists that are not cached, and return the path of each. Raises `UserError`."""
    found = cached_cmn_lists()
    for split, sha256 in CMN_SHA256.items():
        if split not in found:
            found[split] = cmn_list_path(split)
            url = f"{base_url.rstrip('/')}/{split}.list"
            fetch(url, found[split], sha256=sha256, patience=patience, sleep=sleep)
    return found


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download ``url`` to ``path`` if its content has the given hash. Raises `UserError`."""
    patience = patience or Patience()
    for pause in (*patience.pauses, None):
        try:
            content = _download(url, patience)
            _check(content, sha256)
            break
        except _Failure as failure:
            if pause is None or not failure.again:
                raise UserError(
                    f"{url} could not be fetched: {failure}; try again later, or download it by "
                    f"hand and save it as {path}"
                ) from None
            sleep(pause)
    _save(path, content)


def _download(url: str, patience: Patience) -> bytes:
    """Make one attempt, within both limits: a server may be silent, or too slow."""
    end = time.monotonic() + patience.whole
    content = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=patience.silence) as answer:
            while piece := answer.read1(1 << 16):
                content += piece
                if len(content) > LARGEST:
                    raise _Failure(f"it has more than {LARGEST} bytes", again=False)
                if time.monotonic() > end:
                    raise _Failure(f"it was not complete after {patience.whole:g} s", again=True)
            announced = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        busy = error.code >= 500 or error.code in (408, 429)
        raise _Failure(f"HTTP {error.code} {error.reason}", again=busy) from None
    except urllib.error.URLError as error:
        raise _Failure(str(error.reason), again=True) from None
    except TimeoutError:
        raise _Failure(f"no answer for {patience.silence:g} s", again=True) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Failure(str(error) or type(error).__name__, again=True) from None
    if announced is not None and len(content) < int(announced):
        raise _Failure(f"only {len(content)} of {announced} bytes came", again=True)
    return bytes(content)


def _check(content: bytes, sha256: str) -> None:
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise _Failure(f"its sha256 is {got[:12]}..., not {sha256[:12]}...", again=False)


def _save(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}; set TASD_HOME to another folder"
        ) from None
