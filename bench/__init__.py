"""Measurements with their printed tables: each is run by a target of the Makefile, and shortly by a test."""
