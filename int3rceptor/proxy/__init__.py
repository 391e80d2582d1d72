"""Connections and exchanges: from accept to the last byte."""
