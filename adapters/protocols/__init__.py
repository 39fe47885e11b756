"""The wire dialects: sans-I/O connections and pure renderers, one module each. They import the core alone."""
