"""The Merkle tree against RFC 9162's own words, and its proofs against the verifier that imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import proof_verifier as verifier
from adapters.proof_verifier import NotProved
from eventstore import merkle
from eventstore.merkle import TILE, Frontier, consistency, folded, inclusion, root_of, surroundings
from eventstore.proofs import runs

SIZES = st.integers(1, 140)


def contents(size: int) -> list[bytes]:
    return [sha256(f"event {n}".encode()).digest() for n in range(size)]


def naive(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def subtree_of(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    return lambda start, end: naive(leaves[start:end])


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = merkle.split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive(leaves[:k])]


def naive_subproof(m: int, leaves: Sequence[bytes], is_known: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    if m == len(leaves):
        return [] if is_known else [naive(leaves)]
    k = merkle.split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], is_known), naive(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive(leaves[:k])]


@given(SIZES)
def test_a_root_is_what_the_rfc_says_however_it_is_reached(size: int) -> None:
    leaves, grown = contents(size), Frontier()
    grown.extend(leaves[: size // 3])
    grown.extend(leaves[size // 3 :])
    assert naive(leaves) == root_of(leaves) == grown.root
    assert grown.size == size


def test_no_leaves_have_the_root_the_rfc_gives_them() -> None:
    assert Frontier().root == root_of([]) == naive([])


@pytest.mark.parametrize(("tiles", "more"), [(0, 5), (1, 1), (2, 0), (3, 700)])
def test_a_frontier_goes_on_from_its_tiles(tiles: int, more: int) -> None:
    leaves = contents(tiles * TILE + more)
    straight, taken_up = Frontier(), Frontier()
    completed = straight.extend(leaves)
    assert completed == [naive(leaves[at : at + TILE]) for at in range(0, len(leaves) - TILE + 1, TILE)]
    taken_up.extend_by_tiles(completed)
    taken_up.extend(leaves[len(completed) * TILE :])
    assert (taken_up.root, taken_up.size) == (straight.root, straight.size)
    rest = leaves[len(completed) * TILE :]
    assert folded([*completed, root_of(rest)] if rest else completed) == straight.root


@given(st.data())
def test_an_event_is_shown_to_be_in_the_tree_and_no_other_event_is(draw: st.DataObject) -> None:
    size = draw.draw(SIZES)
    index, leaves = draw.draw(st.integers(0, size - 1)), contents(size)
    path = inclusion(index, size, subtree_of(leaves))
    assert path == naive_path(index, leaves)
    assert verifier.included_root(index, size, verifier.leaf(leaves[index]), path) == naive(leaves)
    other = draw.draw(st.integers(0, size).filter(lambda other: other != index))
    try:
        assert verifier.included_root(other, size, verifier.leaf(leaves[index]), path) != naive(leaves)
    except NotProved:
        pass


@given(st.data())
def test_a_tree_is_shown_to_begin_with_an_older_one_and_with_no_other(draw: st.DataObject) -> None:
    size = draw.draw(SIZES)
    old, leaves = draw.draw(st.integers(1, size)), contents(size)
    path = consistency(old, size, subtree_of(leaves))
    assert path == naive_subproof(old, leaves, True)
    roots = naive(leaves[:old]), naive(leaves)
    assert verifier.consistent_roots(old, size, roots[0], path) == roots
    changed = [*contents(old - 1), b"another"]
    if old < size:
        assert verifier.consistent_roots(old, size, naive(changed), path) != (naive(changed), roots[1])


@given(st.data())
def test_any_events_are_shown_to_be_in_the_tree_together(draw: st.DataObject) -> None:
    size = draw.draw(SIZES)
    chosen, leaves = sorted(draw.draw(st.sets(st.integers(0, size - 1)))), contents(size)
    nodes = surroundings(chosen, size, subtree_of(leaves))
    stretches = [[first + 1, last + 1, ""] for first, last in runs(chosen)]
    taken = iter([leaves[index] for index in chosen])
    given_nodes = iter(nodes)
    assert verifier.surrounded_root(stretches, size, taken, given_nodes) == naive(leaves)
    assert next(taken, None) is next(given_nodes, None) is None
    assert len(nodes) <= (len(stretches) + 1) * 2 * size.bit_length()


@given(st.data())
def test_a_path_that_was_changed_anywhere_shows_nothing(draw: st.DataObject) -> None:
    size = draw.draw(st.integers(2, 140))
    old, index = draw.draw(st.integers(1, size - 1)), draw.draw(st.integers(0, size - 1))
    leaves = contents(size)
    for make, check in (
        (inclusion, lambda path: (verifier.included_root(index, size, verifier.leaf(leaves[index]), path),)),
        (consistency, lambda path: verifier.consistent_roots(old, size, naive(leaves[:old]), path)),
    ):
        path = make(index if make is inclusion else old, size, subtree_of(leaves))
        good = check(path)
        at = draw.draw(st.integers(0, len(path) - 1))
        for bad in ([*path[:at], bytes(32), *path[at + 1 :]], [*path[:at], *path[at + 1 :]], [*path, bytes(32)]):
            try:
                assert check(bad) != good
            except NotProved:
                pass


def test_runs_are_neighbours() -> None:
    assert list(runs([1, 2, 3, 7, 9, 10])) == [(1, 3), (7, 7), (9, 10)]
    assert list(runs([])) == []


def test_a_proof_takes_as_many_hashes_as_the_tree_is_high() -> None:
    asked: list[tuple[int, int]] = []

    def subtree(start: int, end: int) -> bytes:
        asked.append((start, end))
        return bytes(32)

    assert len(inclusion(777_777, 1_000_000, subtree)) == 20
    assert len(consistency(777_777, 1_000_000, subtree)) <= 21
    assert len(surroundings(range(500_000, 600_000), 1_000_000, subtree)) <= 40
    assert all(end - start & (end - start - 1) == 0 or end == 1_000_000 for start, end in asked)
