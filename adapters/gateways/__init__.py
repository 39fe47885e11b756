"""Other systems behind the core's ports, each with an embedded or scripted twin that needs nothing from outside."""
