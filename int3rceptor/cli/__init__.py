"""The command line: parse, start, print."""
