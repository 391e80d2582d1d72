"""Draws folded stacks as a flame graph (SVG): the wider, the more of the time.

A profiler's own picture would show threads that wait beside the one that works: where a
machine's kernel does not tell them apart, they are most of it.
"""

import re
from dataclasses import dataclass, field
from html import escape

from benchmarks.drawing import framed, text

WIDTH, MARGIN, TITLE, FRAME = 1200, 10, 34, 17
LEAST_WIDTH = 0.4  # of a frame that is still drawn
LETTER = 6.6  # its width, about, at this size of text
OURS, LIBRARY = "#8fc7f0", "#d5dbe1"
# A thread of a pool or of ours that has nothing to do stands here.
WAITS = re.compile(r"\((threading|concurrent/futures/thread)\.py:\d+\)$")
LINE_NUMBER = re.compile(r":\d+\)$")


@dataclass(slots=True)
class Frame:
    """A function on a stack: its samples, and those of what it called."""

    name: str
    samples: int = 0
    calls: dict[str, "Frame"] = field(default_factory=dict)

    def add(self, stack: list[str], samples: int) -> None:
        """Count `samples` for this frame and along `stack` below it."""
        frame = self
        frame.samples += samples
        for name in stack:
            frame = frame.calls.setdefault(name, Frame(name))
            frame.samples += samples


def folded(raw: str) -> Frame:
    """The tree of py-spy's raw format (frames by ";", then a count), without waits.

    Lines of one function are one frame: what is asked is which function.
    """
    root = Frame("all")
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        names = stack.split(";")
        if not WAITS.search(names[-1]):
            root.add([LINE_NUMBER.sub(")", name) for name in names], int(count))
    return root


def svg(title: str, root: Frame) -> str:
    """The picture; hovering over a frame shows its whole name and share."""
    depth = _depth(root)
    height = TITLE + (depth + 1) * FRAME + MARGIN
    body = [text(MARGIN, 22, title, "start", weight="bold")]
    scale = (WIDTH - 2 * MARGIN) / max(root.samples, 1)
    waiting = [(root, float(MARGIN), 0)]
    while waiting:
        frame, left, level = waiting.pop()
        if frame.samples * scale < LEAST_WIDTH:
            continue
        body.append(_box(frame, left, level, scale, root.samples))
        for call in sorted(frame.calls.values(), key=lambda each: -each.samples):
            waiting.append((call, left, level + 1))
            left += call.samples * scale
    return framed(title, WIDTH, height, body)


def _depth(root: Frame) -> int:
    level, frames = 0, list(root.calls.values())
    while frames:
        level += 1
        frames = [call for frame in frames for call in frame.calls.values()]
    return level


def _box(frame: Frame, left: float, level: int, scale: float, total: int) -> str:
    width, top = frame.samples * scale, TITLE + level * FRAME
    colour = OURS if "(int3rceptor/" in frame.name else LIBRARY
    share = f"{frame.samples / max(total, 1):.1%}"
    shown = frame.name[: int((width - 4) / LETTER)] if width > 4 * LETTER else ""
    label = text(left + 3, top + 12, shown, "start") if shown else ""
    return (
        f"<g><title>{escape(frame.name)}: {share}</title>"
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{FRAME - 1}" '
        f'fill="{colour}" stroke="#ffffff" stroke-width="0.5"/>{label}</g>'
    )
