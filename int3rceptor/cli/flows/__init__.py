"""`flows`: what was kept, for people and for programs."""
