"""The script of the page: arrow keys. Without it the page shows the same, by mouse and Tab."""

import base64
import hashlib

# Up, down, left and right go to the next episode, and in a plot to the nearest point that way.
SCRIPT = """
"use strict";
for (const browser of document.querySelectorAll(".browser")) {
  const heads = [...browser.querySelectorAll("summary")];
  browser.addEventListener("keydown", (event) => {
    const now = heads.indexOf(event.target);
    const last = heads.length - 1;
    const to = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1,
                 Home: 0, End: last }[event.key];
    if (now < 0 || to === undefined || to < 0 || to > last) return;
    event.preventDefault();
    for (const head of heads) head.parentElement.open = false;
    heads[to].parentElement.open = true;
    heads[to].focus();
  });
}
for (const plot of document.querySelectorAll(".plot")) {
  const drawing = plot.querySelector("svg");
  const said = plot.querySelector(".said");
  const points = [...plot.querySelectorAll(".pt")];
  const at = (point) => [Number(point.dataset.x), Number(point.dataset.y)];
  let now = null;
  const show = (point) => {
    if (now) now.classList.remove("on");
    now = point;
    now.classList.add("on");
    said.textContent = now.querySelector("title").textContent;
  };
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  drawing.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    if (!way || !points.length) return;
    event.preventDefault();
    if (!now) return show(points[0]);
    const [x, y] = at(now);
    let best = null, least = Infinity;
    for (const point of points) {
      const [dx, dy] = [at(point)[0] - x, at(point)[1] - y];
      const along = dx * way[0] + dy * way[1];
      const across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (along > 0 && along + 2 * across < least) [best, least] = [point, along + 2 * across];
    }
    if (best) show(best);
  });
}
"""


def policy() -> str:
    """Return a content policy: nothing from any host, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
