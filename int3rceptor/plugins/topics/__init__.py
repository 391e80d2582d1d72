"""What plugins say to each other."""
