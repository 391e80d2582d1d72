"""What the hub makes of the journal: rows, bodies, words."""
