"""Hub and proxy processes: what they say to each other, and over what."""
