"""What a plugin keeps under keys."""
