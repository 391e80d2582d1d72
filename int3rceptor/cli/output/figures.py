"""Sizes, durations and addresses as people read them."""


def size(count: int) -> str:
    """Bytes in three digits and a unit."""
    scaled = float(count)
    for unit in ("B", "kB", "MB"):
        if scaled < 1000:
            return f"{count} B" if unit == "B" else f"{scaled:.3g} {unit}"
        scaled /= 1000
    return f"{scaled:.1f} GB"


def duration(seconds: float) -> str:
    """Milliseconds, from a second on seconds."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s"


def address(host: str, port: int) -> str:
    """HOST:PORT, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and … when there are more."""
    return text if len(text) <= limit else f"{text[:limit]}…"
