"""Bridges: models of other libraries as graphs of Values, and graphs as code for others."""
