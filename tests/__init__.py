"""The tests: one folder per room, and what they share in tests.support."""
