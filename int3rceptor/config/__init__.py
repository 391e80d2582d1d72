"""The typed settings and where they come from. Nothing here opens a socket."""
