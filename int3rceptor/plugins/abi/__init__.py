"""The table of host functions: the one place that names them all."""
