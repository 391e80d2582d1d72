"""How much load a run puts on: four sizes of everything."""

from dataclasses import dataclass

KIB, MIB = 1024, 1024**2
FIRST_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much load; only a run that `is_judged` is long enough to judge by."""

    name: str
    is_judged: bool
    repetitions: int
    requests: int
    connections: int
    first_contacts: int
    messages: int
    memory_requests: int
    idle_connections: int
    peak_requests: int
    paced_s: float
    bulk_bytes: int

    @property
    def hosts(self) -> int:
        """How many first contacts one system sees: those of each warm-up too."""
        return self.repetitions * (self.first_contacts + FIRST_AT_ONCE)


FULL = Sizes(
    name="full",
    is_judged=True,
    repetitions=5,
    requests=6_000,
    connections=400,
    first_contacts=120,
    messages=20_000,
    memory_requests=300_000,
    idle_connections=1_000,
    peak_requests=3_000,
    paced_s=8.0,
    bulk_bytes=100 * MIB,
)
SHORT = Sizes(
    name="short",
    is_judged=True,
    repetitions=5,
    requests=3_000,
    connections=200,
    first_contacts=60,
    messages=10_000,
    memory_requests=60_000,
    idle_connections=1_000,
    peak_requests=1_500,
    paced_s=5.0,
    bulk_bytes=100 * MIB,
)
QUICK = Sizes(
    name="quick",
    is_judged=False,
    repetitions=1,
    requests=800,
    connections=60,
    first_contacts=24,
    messages=2_000,
    memory_requests=8_000,
    idle_connections=100,
    peak_requests=400,
    paced_s=2.0,
    bulk_bytes=32 * MIB,
)
SMOKE = Sizes(
    name="smoke",
    is_judged=False,
    repetitions=1,
    requests=40,
    connections=8,
    first_contacts=8,
    messages=160,
    memory_requests=200,
    idle_connections=8,
    peak_requests=40,
    paced_s=0.5,
    bulk_bytes=4 * MIB,
)
SIZES = {sizes.name: sizes for sizes in (FULL, SHORT, QUICK, SMOKE)}
