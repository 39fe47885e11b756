"""Hypercorn on Trio, run the way Callboard needs it."""
