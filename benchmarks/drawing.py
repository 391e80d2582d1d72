"""What pictures share: the frame of an SVG, and a text in it."""

from html import escape


def framed(title: str, width: int, height: int, body: list[str]) -> str:
    """The whole picture around its parts, on white ground."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" '
        'font-size="12" fill="#1f2933">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    named = f"<title>{escape(title)}</title>"
    return "\n".join([head, named, ground, *body, "</svg>", ""])


def text(x: float, y: float, words: str, anchor: str, weight: str = "normal") -> str:
    """Words at a place; `anchor` is "start", "middle" or "end"."""
    return (
        f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
