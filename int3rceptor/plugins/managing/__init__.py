"""Which versions are in service, and what can be done about them."""
