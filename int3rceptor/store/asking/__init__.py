"""What is asked of kept flows, in the database and the journal's tail as one."""
