"""The one line that a user reads of a bad setting: where it was set, which key, why."""

from collections.abc import Mapping, Sequence

from int3rceptor.config.tables import NO_SUCH_KEY
from int3rceptor.errors import ConfigError, SettingError


def located(
    error: SettingError, *, places: Mapping[str, str], known: Sequence[str]
) -> ConfigError:
    """The error as the user gets it; `places` says where each key was set."""
    key, reason = error.shown_key, error.reason
    if reason == NO_SUCH_KEY:
        reason += nearest(error.key, known)
    # Plugin tables go deeper than keys: the nearest outer one has a place.
    place = next((places[one] for one in _outward(error.key) if one in places), "")
    if place.startswith("--"):
        return ConfigError(f"{place}: {reason}")
    return ConfigError(f"{place}: {key}: {reason}" if place else f"{key}: {reason}")


def nearest(word: str, known: Sequence[str], *, cutoff: float = 0.7) -> str:
    """` (did you mean X?)` when something known resembles `word`, else nothing."""
    import difflib  # for who made a mistake

    close = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    if not close:
        # The right name in the wrong table is the usual mistake.
        last = word.rpartition(".")[2]
        close = [one for one in known if one.rpartition(".")[2] == last][:1]
    return f" (did you mean {close[0]}?)" if close else ""


def _outward(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
