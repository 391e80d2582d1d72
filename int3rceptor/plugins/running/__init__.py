"""A version in service: its instances, calls, health and log."""
