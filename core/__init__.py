"""The pure part of Callboard: deciders, their messages, and the ports the rest plugs into.

Nothing in this package awaits, reads a clock, draws a random number, parses JSON or logs. Values are
frozen `msgspec.Struct`s: slotted and typed, at a tenth of the price of frozen dataclasses, which recovery
by fold pays once per event.
"""
