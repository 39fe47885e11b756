"""Tracking numbers in the carriers' own shapes, check digits included, out of an idempotency key."""

from __future__ import annotations

import hashlib

_UPS_LETTERS = {chr(ord("A") + n): (n + 2) % 10 for n in range(26)}


def tracking_number(carrier: str, key: str) -> str:
    """The same for the same key, always."""
    digits = str(int.from_bytes(hashlib.sha256(f"{carrier}\n{key}".encode()).digest())).rjust(78, "0")
    match carrier:
        case "UPS":
            body = f"EX{digits[-13:]}"
            return f"1Z{body}{ups_check(body)}"
        case "USPS":
            body = f"94{digits[-19:]}"
            return f"{body}{usps_check(body)}"
        case _:
            body = digits[-11:]
            return f"{body}{fedex_check(body)}"


def ups_check(body: str) -> int:
    """Odd places once, even places twice, to the next ten; letters count as their own digits."""
    values = [_UPS_LETTERS.get(character, ord(character) - ord("0")) for character in body]
    return -(sum(values[0::2]) + 2 * sum(values[1::2])) % 10


def usps_check(body: str) -> int:
    """Modulo 10, weights 3 and 1 from the right."""
    values = [int(digit) for digit in reversed(body)]
    return -(3 * sum(values[0::2]) + sum(values[1::2])) % 10


def fedex_check(body: str) -> int:
    """Modulo 11 then 10, weights 1, 3 and 7 from the right."""
    weights = (1, 3, 7)
    return sum(int(digit) * weights[n % 3] for n, digit in enumerate(reversed(body))) % 11 % 10
