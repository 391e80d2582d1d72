"""Measures INT3RCEPTOR against its peers; knows them only as programs with a port."""
