"""Bodies, events and messages on their way past plugins."""
