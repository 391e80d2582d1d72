"""What plugins ask of the network."""
