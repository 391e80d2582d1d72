"""The control port: API, events and metrics, in the hub process."""
