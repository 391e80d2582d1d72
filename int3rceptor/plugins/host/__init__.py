"""The host's side of each host function."""
