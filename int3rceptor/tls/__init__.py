"""Certificates, contexts and the ClientHello."""
