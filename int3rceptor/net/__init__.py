"""The only room that owns sockets, timers and tasks."""
