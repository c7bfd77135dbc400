"""Providers as local servers that speak their documented protocols, faults included."""
