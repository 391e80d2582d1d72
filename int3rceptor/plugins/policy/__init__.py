"""What a plugin is set to, what it asks for, and what it may."""
