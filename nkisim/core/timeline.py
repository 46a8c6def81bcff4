"""When instructions would run: queues in order, one for each engine, waiting for the tensors they need.

An instruction starts when its engine is free, what it reads is written, and the allocations that it
writes on chip are no longer used. HBM writes do not wait for each other: kernels write disjoint parts of it.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from .memory import OFF_CHIP
from .tensor import Tensor


class Clock:
    """The engines of one core; times in microseconds."""

    def __init__(self) -> None:
        self._free: dict[str, float] = {}
        self._written: dict[int, float] = {}
        self._read: dict[int, float] = {}
        self._kept: dict[int, Any] = {}

    def issue(self, engine: str, duration: float, reads: list[Tensor], writes: list[Tensor]) -> float:
        """Queue an instruction; when it starts."""
        start = self._free.get(engine, 0.0)
        for tensor in reads:
            start = max(start, self._written.get(self._key(tensor), 0.0))
        for tensor in writes:
            if tensor.buffer not in OFF_CHIP:
                key = self._key(tensor)
                start = max(start, self._written.get(key, 0.0), self._read.get(key, 0.0))
        end = self._free[engine] = start + duration
        for tensor in reads:
            key = self._key(tensor)
            self._read[key] = max(self._read.get(key, 0.0), end)
        for tensor in writes:
            key = self._key(tensor)
            self._written[key] = max(self._written.get(key, 0.0), end)
        return start

    def _key(self, tensor: Tensor) -> int:
        """The allocation's number; a small stand-in, so that tracing keeps no tensor's memory alive."""
        storage = tensor.storage
        if storage.mark is None:
            storage.mark = object()
        key = id(storage.mark)
        self._kept[key] = storage.mark
        return key


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>nkisim timeline</title><style>
body {{ font: 14px system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff }}
.row {{ display: flex; align-items: center; margin: 3px 0 }}
.row b {{ width: 9rem; font-weight: 500 }}
canvas {{ flex: 1; height: 26px; background: #f1f3f5; min-width: 0 }}
#what {{ min-height: 2.4em; color: #444 }}
</style></head><body>
<h1>Estimated engine timeline</h1>
<p>{events} instructions, {span:,.1f} µs. From documented instruction costs, not measured. Scroll to zoom,
drag to move, point at a bar.</p><div id="rows">{rows}</div><p id="what"></p>
<script type="application/json" id="data">{data}</script>
<script>
const data = JSON.parse(document.getElementById("data").textContent), span = {span};
let from = 0, to = span || 1, grabbed = null;
const colours = {{}};
const colour = n => colours[n] ??= `hsl(${{(Object.keys(colours).length * 67) % 360}} 60% 50%)`;
const all = [...document.querySelectorAll("canvas")];
function draw() {{
  for (const c of all) {{
    c.width = c.clientWidth; c.height = 26;
    const g = c.getContext("2d"), k = c.width / (to - from);
    for (const [name, , start, time] of data[c.dataset.row]) {{
      if (start + time < from || start > to) continue;
      g.fillStyle = colour(name);
      g.fillRect((start - from) * k, 2, Math.max(time * k, 0.6), 22);
    }}
  }}
}}
for (const c of all) {{
  const at = e => from + (to - from) * e.offsetX / c.clientWidth;
  c.onwheel = e => {{
    e.preventDefault();
    const m = at(e), z = e.deltaY > 0 ? 1.25 : 0.8;
    from = Math.max(0, m - (m - from) * z); to = Math.min(span || 1, m + (to - m) * z); draw();
  }};
  c.onmousedown = e => grabbed = at(e);
  c.onmousemove = e => {{
    const m = at(e);
    if (grabbed !== null && e.buttons) {{
      const d = grabbed - m; if (from + d >= 0 && to + d <= span) {{ from += d; to += d; draw(); }} return;
    }}
    const hit = data[c.dataset.row].find(([, , start, time]) => start <= m && m <= start + time);
    document.getElementById("what").textContent =
      hit ? `${{hit[0]}} at ${{hit[1]}}: ${{hit[2].toFixed(3)}} µs, ${{hit[3].toFixed(3)}} µs long` : "";
  }};
}}
onmouseup = () => grabbed = null; onresize = draw; draw();
</script></body></html>
"""


def html(events: list[dict[str, Any]], span: float) -> str:
    """A page of its own with a bar for each instruction, a row for each engine of each core."""
    rows: dict[str, list[list[Any]]] = {}
    for event in sorted(events, key=lambda e: (e["core"], e["engine"], e["start"])):
        bar = [
            event["label"] or event["name"],
            f"{event['file']}:{event['line']}",
            event["start"],
            event["duration"],
        ]
        rows.setdefault(f"core {event['core']} {event['engine']}", []).append(bar)
    shown = "".join(
        f'<div class="row"><b>{escape(row)}</b><canvas data-row="{escape(row)}"></canvas></div>'
        for row in rows
    )
    data = json.dumps(rows).replace("<", "\\u003c")
    return _PAGE.format(events=len(events), span=span, rows=shown, data=data)
