"""Files that people write or the proxy keeps: stamps, bounded reads, whole writes."""
