"""Clients of Callboard's own dialects, on trio-websocket."""
