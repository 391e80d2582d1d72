"""What passed, kept: the proxy writes the journal, the hub builds the store."""
