"""Near-duplicates: those pairs that a comparison of all with all finds."""

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from fkd.data.near_duplicates import NEAR_DUPLICATE_BITS, near_duplicates, near_hashes

WORDS = st.integers(0, 2**64 - 1)


def image_of(some_hash: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """A picture of 32x32 pixels with this perceptual hash: its 64 lowest frequencies are 60 or -60."""
    frequencies = np.zeros((32, 32))
    frequencies[1:9, 1:9] = 60 * some_hash.reshape(8, 8)
    return np.rint(128 + cv2.idct(frequencies)).astype(np.uint8)


def test_pairs_are_joined_up_to_the_threshold() -> None:
    # Half of a hash is +1, so two of them differ in an even number of bits.
    hashes = np.random.default_rng(0).permuted(np.tile([1.0, -1.0], (1500, 32)), axis=1)
    for copy, original, bits in (
        (1400, 0, NEAR_DUPLICATE_BITS),
        (1401, 1300, NEAR_DUPLICATE_BITS),
        (1402, 1, NEAR_DUPLICATE_BITS + 2),
    ):
        order = np.argsort(hashes[original])
        changed = np.concatenate([order[: bits // 2], order[-bits // 2 :]])
        hashes[copy] = hashes[original]
        hashes[copy, changed] *= -1
    pairs = near_duplicates(np.stack([image_of(some) for some in hashes]))
    assert pairs.tolist() == [[0, 1400], [1300, 1401]]


@settings(max_examples=10)  # the second way takes as long for few as for a million
@given(st.lists(st.tuples(WORDS, st.sets(st.integers(0, 63), max_size=10)), max_size=12))
def test_no_pair_is_missed_and_none_is_too_far(words: list[tuple[int, set[int]]]) -> None:
    copies = [word ^ sum(1 << bit for bit in flipped) for word, flipped in words]
    hashes = np.array([word for word, _ in words] + copies, np.uint64)
    apart = np.bitwise_count(hashes[:, np.newaxis] ^ hashes)
    expected = np.argwhere(np.triu(apart <= NEAR_DUPLICATE_BITS, k=1))
    np.testing.assert_array_equal(near_hashes(hashes), expected)
    np.testing.assert_array_equal(near_hashes(hashes, few=0), expected)


def test_equal_hashes_are_all_paired() -> None:
    for few in (0, 4):
        pairs = near_hashes(np.full(4, 7, np.uint64), few)
        assert pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
