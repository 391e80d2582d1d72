"""The control port's own metrics; those of proxy and store come from the hub."""

from collections import Counter

from int3rceptor.control.exposition import Family, counter, gauge
from int3rceptor.control.viewers import Viewers


class Counts:
    """What was answered, by the status's class (`2xx`)."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()

    def count(self, status: int) -> None:
        """One more answer."""
        self.answered[f"{status // 100}xx"] += 1


def own_families(counts: Counts, viewers: Viewers) -> list[Family]:
    """The families of this room."""
    answers = tuple(
        ({"status": status}, float(number))
        for status, number in sorted(counts.answered.items())
    )
    return [
        Family(
            name="int3rceptor_control_answers_total",
            help="Answers of the control port, by the class of their status.",
            type="counter",
            samples=answers,
        ),
        gauge("int3rceptor_control_viewers", "Who watches live.", len(viewers)),
        counter(
            "int3rceptor_control_events_sent_total",
            "Live events queued for viewers.",
            viewers.sent,
        ),
        counter(
            "int3rceptor_control_events_missed_total",
            "Live events left out for viewers that were too slow.",
            viewers.missed,
        ),
    ]
