"""The API reference: documents made from the routes and message types themselves."""
