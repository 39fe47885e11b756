"""Is the log what was recorded, by its chain and by its checkpoints? For who asks at a file, and who asks a server."""
