"""The HTTP and WebSocket face of Callboard: one app factory, one WebSocket shell for every dialect, the REST routes."""
