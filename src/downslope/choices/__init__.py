"""Decisions by measurement: each returns its choice and its evidence."""
