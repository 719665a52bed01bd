"""The folder of one session: uploads and thumbnails, under names that nobody chose."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tasd.errors import UserError
from tasd.predict.thumbnails import Thumbnail

MIB = 1 << 20
MOST_UPLOAD = 512 * MIB
MOST_SESSION = 8192 * MIB


class SessionFolder:
    """A temporary folder, removed by `close`. used: bytes of all uploads in it."""

    def __init__(self, *, most_upload: int = MOST_UPLOAD, most: int = MOST_SESSION) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tasd-app-"))
        self.used = 0
        self._most_upload, self._most = most_upload, most

    async def receive(self, pieces: AsyncIterator[bytes], *, suffix: str, announced: int) -> Path:
        """Write an upload piece by piece; nothing stays of one that is refused or breaks off.

        announced: bytes by the header of the request. Raises `UserError`.
        """
        path = self.path / f"{secrets.token_hex(8)}{suffix.lower()}"
        size = 0
        try:
            self._check(announced)
            with path.open("xb") as file:
                async for piece in pieces:
                    size += len(piece)
                    self.used += len(piece)
                    self._check(size)
                    file.write(piece)
            if not size:
                raise UserError("the file is empty; give one that holds a video")
        except BaseException:
            self.used -= size
            path.unlink(missing_ok=True)
            raise
        return path

    def remove(self, path: Path) -> None:
        """Remove an upload."""
        if path.parent == self.path and path.exists():
            self.used -= path.stat().st_size
            path.unlink(missing_ok=True)

    def link(self, path: Path) -> Path:
        """Return a second file with the same content, so that each can be removed alone."""
        twin = self.path / f"{secrets.token_hex(8)}{path.suffix}"
        try:
            twin.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, twin)
        self.used += twin.stat().st_size
        return twin

    def write_pictures(self, clip: str, pictures: Sequence[Thumbnail]) -> None:
        """Write the thumbnails of a clip."""
        for number, picture in enumerate(pictures):
            self.picture(clip, number).write_bytes(picture.jpeg)

    def picture(self, clip: str, number: int) -> Path:
        """The file of a thumbnail."""
        return self.path / f"{clip}-{number}.jpg"

    def remove_pictures(self, clip: str) -> None:
        """Remove the thumbnails of a clip."""
        for path in self.path.glob(f"{clip}-*.jpg"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _check(self, size: int) -> None:
        if size > self._most_upload:
            raise UserError(
                f"the file is larger than {self._most_upload / MIB:g} MiB; cut it, or make it "
                "smaller"
            )
        if self.used > self._most:
            raise UserError(
                f"the clips of this session take {self._most / MIB:g} MiB; export them and delete "
                "some"
            )
