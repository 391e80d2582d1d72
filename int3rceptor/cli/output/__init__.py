"""How lines leave: escaped, whole, and without holding up the loop."""
