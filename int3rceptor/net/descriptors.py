"""The limit of open files: each connection is one."""

from int3rceptor.errors import ConfigError

LEAST = 32
"""Open files without which no proxy starts: loop, sockets, journal and hub take 20."""


def refuse_too_few() -> None:
    """ConfigError where the system allows fewer than LEAST: what would fail then, fails
    in a library's own words."""
    allowed = raise_limit(LEAST)
    if allowed is not None and allowed < LEAST:
        raise ConfigError(
            f"the system allows {allowed} open files, too few to start: raise the limit"
            " (ulimit -n 1024)"
        )


def raise_limit(wanted: int) -> int | None:
    """Raise this process's limit to `wanted`, as far as the system lets it.

    The limit that holds now; None where there is no such limit (Windows).
    """
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
