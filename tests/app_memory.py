"""Memory of the page over many uploads: ``python -m tests.app_memory``."""

import tempfile
import time
from pathlib import Path

import httpx

from tests.app_server import ROOT, running

CLIPS = sorted((ROOT / "tasd/demo/clips/queries").glob("*/*.mp4"))
CHANGE = {"x-tasd": "1"}


def main(uploads: int = 300) -> None:
    """Ask about ``uploads`` clips, and print the memory every 50."""
    with (
        tempfile.TemporaryDirectory() as home,
        running("--support", ROOT / "tasd/demo/clips/support", cwd=Path(home)) as (process, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        _wait(client)
        began = time.monotonic()
        for number in range(1, uploads + 1):
            clip = CLIPS[number % len(CLIPS)]
            client.post(
                "/api/questions",
                params={"name": f"{number}.mp4"},
                content=clip.read_bytes(),
                headers=CHANGE,
            ).raise_for_status()
            if number % 10 == 0:
                _wait(client)
            if number % 50 == 0:
                files = sum(1 for _ in Path(home).glob("tasd-*/*"))
                seconds = (time.monotonic() - began) / number
                print(f"{number}: {_mib(process.pid):.0f} MiB, {files} files, {seconds:.2f} s each")


def _wait(client: httpx.Client) -> None:
    while client.get("/api/state").json()["left"]:
        time.sleep(0.05)


def _mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
