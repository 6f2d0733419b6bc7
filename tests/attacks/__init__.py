"""Hostile inputs that every run of the tests replays: labels, expressions, files of parameters."""
