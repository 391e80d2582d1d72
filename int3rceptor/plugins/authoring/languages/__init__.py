"""How each guest language writes the host functions: one file a language."""
