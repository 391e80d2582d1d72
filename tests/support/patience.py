"""How long tests wait for what must come."""

PATIENT_S = 60.0
"""A hundred times what it takes on a machine of its own: one that runs much else at the
same time may be late, and a test that fails then tells nothing. Whatever hangs is found
all the same; the time limit of each test is longer."""
