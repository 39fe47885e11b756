"""All that knows the outside: wire dialects, the web, gateways to other systems, and the composition root."""
