"""Rules: files that match traffic and change it."""
