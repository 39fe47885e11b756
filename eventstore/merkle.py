"""The Merkle tree over the log, as RFC 9162 (2.1) defines it, and the proofs that hang on it.

Its leaves are the chain hashes of the events, that of position 1 first. Whoever knows the root of the first n
events can be shown that an event is among them by about log2(n) hashes, and that a later tree has not changed them
by as many.

Proofs ask for subtrees by `Subtree`, so that whoever keeps hashes of large ones need not read what is below them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()
"""The root of no leaves."""
TILE_LEVEL = 10
TILE = 1 << TILE_LEVEL
"""Leaves of a subtree whose hash is kept."""

Subtree = Callable[[int, int], bytes]
"""The hash of the subtree over the leaves from `start` up to, and without, `end`; a subtree of the RFC's division."""


def leaf(content: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + content).digest()


def leaves(contents: Iterable[bytes]) -> list[bytes]:
    """The hashes of leaves."""
    return [sha256(b"\0" + content).digest() for content in contents]


def node(left: bytes, right: bytes) -> bytes:
    """The hash of what is above two subtrees."""
    return sha256(b"\1" + left + right).digest()


def split(size: int) -> int:
    """The leaves on the left of a tree of two or more: the largest power of two that is less than all of them."""
    return 1 << (size - 1).bit_length() - 1


class Frontier:
    """A tree that grows at its end and keeps the roots of its complete subtrees alone, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[tuple[int, bytes]] = []

    def extend(self, contents: Iterable[bytes]) -> list[bytes]:
        """Add leaves. Returns the hashes of the tiles that are complete now."""
        completed: list[bytes] = []
        for content in contents:
            self._add(0, leaf(content), completed)
        return completed

    def extend_by_tiles(self, tiles: Iterable[bytes]) -> None:
        """Add TILE leaves for each hash. What is there already must be whole tiles."""
        for tile in tiles:
            self._add(TILE_LEVEL, tile, [])

    def _add(self, level: int, hash_: bytes, completed: list[bytes]) -> None:
        self.size += 1 << level
        roots = self._roots
        while roots and roots[-1][0] == level:
            hash_ = sha256(b"\1" + roots.pop()[1] + hash_).digest()
            level += 1
            if level == TILE_LEVEL:
                completed.append(hash_)
        roots.append((level, hash_))

    @property
    def root(self) -> bytes:
        """The root of all that was added."""
        if not self._roots:
            return EMPTY
        hashes = [hash_ for _, hash_ in self._roots]
        root = hashes.pop()
        while hashes:
            root = node(hashes.pop(), root)
        return root


def root_of(contents: Sequence[bytes]) -> bytes:
    """The root of a tree with these leaves."""
    return folded(leaves(contents)) if contents else EMPTY


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root above one or more subtrees, all complete and of one size but the last, which may be smaller."""
    while len(hashes) > 1:
        above = [sha256(b"\1" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
        hashes = [*above, hashes[-1]] if len(hashes) % 2 else above
    return hashes[0]


# --- proofs -----------------------------------------------------------------------------------------------------


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH of RFC 9162 (2.1.3.1): what must be hashed to the leaf with this index, from 0, to give the root."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """PROOF of RFC 9162 (2.1.4.1): that the tree of the first `old` leaves (1 or more) is the beginning of this one."""
    path: list[bytes] = []
    start, end, is_known = 0, size, True
    while old - start != end - start:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, is_known = middle, False
    if not is_known:
        path.append(subtree(start, end))
    return path[::-1]


def surroundings(indexes: Sequence[int], size: int, subtree: Subtree) -> list[bytes]:
    """What must be hashed to these leaves (their indexes ascend) to give the root: the hashes of the largest subtrees
    without any of them, from left to right. For neighbours that are a few, and for all leaves none."""
    found: list[bytes] = []

    def visit(start: int, end: int, low: int, high: int) -> None:
        if low == high:
            found.append(subtree(start, end))
        elif high - low < end - start:
            middle = start + split(end - start)
            cut = bisect_left(indexes, middle, low, high)
            visit(start, middle, low, cut)
            visit(middle, end, cut, high)

    if size:
        visit(0, size, 0, len(indexes))
    return found
