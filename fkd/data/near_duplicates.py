"""Faces that look nearly the same: pairs of perceptual hashes with few different bits.

Of many hashes not all pairs are compared. Cut into three parts, two hashes that differ in at most eight bits
have a part in which they differ in at most two (8 = 3 + 3 + 2). So each part is looked up among the others by
its own bits and with every one or two of them flipped, and only the pairs found there are compared.
"""

from collections.abc import Iterator
from itertools import accumulate, combinations

import cv2
import numpy as np
import numpy.typing as npt

_HASH_SAMPLES = 32
_HASH_FREQUENCIES = 8
_HASH_BITS = _HASH_FREQUENCIES**2

# Of the 13 million pairs of wild15 (5,166 faces), 103 are within 8 bits; looked at, only 6 of them join
# strangers, and 50 show one photo under two numbers in groups.csv. The next step, 10 bits, adds 81 pairs
# across those groups, mostly strangers, and from 12 on they chain: the largest component has 11 faces at 8
# and 10 bits, 59 at 12 and 2,002 at 14 (together with groups.csv: 26, 83, 2,155 and 4,163).
NEAR_DUPLICATE_BITS = 8

_PART_BITS = (22, 21, 21)
_FLIPPED_IN_A_PART = NEAR_DUPLICATE_BITS // len(_PART_BITS)

Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.int64]


def near_duplicates(images: npt.NDArray[np.uint8]) -> Pairs:
    """Pairs of faces that a perceptual hash tells apart by at most NEAR_DUPLICATE_BITS, the most alike first.

    images: shape (faces, height, width). Returns rows (first, second), first < second, shape (pairs, 2).
    """
    hashes = perceptual_hashes(images)
    pairs = near_hashes(hashes)
    return pairs[np.argsort(_different_bits(hashes[pairs[:, 0]], hashes[pairs[:, 1]]), kind="stable")]


def perceptual_hashes(images: npt.NDArray[np.uint8]) -> Hashes:
    """A hash of each image, shape (images,): where its low frequencies are above their median.

    The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010):
    32x32 samples, the 8x8 lowest frequencies without the constant row and column.
    """
    wanted = slice(1, 1 + _HASH_FREQUENCIES)
    bits = np.empty((len(images), _HASH_BITS), bool)
    for i, image in enumerate(images):
        samples = cv2.resize(image, (_HASH_SAMPLES, _HASH_SAMPLES), interpolation=cv2.INTER_AREA)
        frequencies = cv2.dct(samples.astype(np.float32))[wanted, wanted].ravel()
        bits[i] = frequencies > np.median(frequencies)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def near_hashes(hashes: Hashes, few: int = 4096) -> Pairs:
    """All pairs of hashes with at most NEAR_DUPLICATE_BITS different bits, sorted, shape (pairs, 2).

    few: up to so many hashes are compared all with all, which is quicker.
    """
    if len(hashes) <= few:
        near = _different_bits(hashes[:, np.newaxis], hashes) <= NEAR_DUPLICATE_BITS
        return np.argwhere(np.triu(near, k=1))
    shifts = accumulate(_PART_BITS[:-1], initial=0)
    found = [
        pairs
        for shift, bits in zip(shifts, _PART_BITS, strict=True)
        for pairs in _pairs_near_in_a_part(hashes, shift, bits)
    ]
    return np.unique(np.concatenate(found), axis=0)


def _pairs_near_in_a_part(hashes: Hashes, shift: int, bits: int) -> Iterator[Pairs]:
    """Near pairs whose parts of so many bits from `shift` on differ by at most _FLIPPED_IN_A_PART."""
    part = ((hashes >> np.uint64(shift)) & np.uint64((1 << bits) - 1)).astype(np.int32)
    order = np.argsort(part, kind="stable")
    part, hashes = part[order], hashes[order]
    first_with = np.searchsorted(part, np.arange((1 << bits) + 1, dtype=np.int32))
    for flipped in _all_flips(bits):
        other = part ^ flipped
        begin, end = first_with[other], first_with[other + 1]
        # Each pair from one of its two sides.
        begin = np.where(other > part, begin, np.maximum(begin, np.arange(1, len(part) + 1)))
        counts = np.maximum(end - begin, 0)
        first = np.repeat(np.arange(len(part)), counts)
        second = np.arange(len(first)) + np.repeat(begin - np.cumsum(counts) + counts, counts)
        near = _different_bits(hashes[first], hashes[second]) <= NEAR_DUPLICATE_BITS
        yield np.sort(np.column_stack([order[first[near]], order[second[near]]]), axis=1)


def _all_flips(bits: int) -> Iterator[np.int32]:
    """Every number of so many bits of which at most _FLIPPED_IN_A_PART are set."""
    for count in range(_FLIPPED_IN_A_PART + 1):
        for places in combinations(range(bits), count):
            yield np.int32(sum(1 << place for place in places))


def _different_bits(hashes: Hashes, others: Hashes) -> npt.NDArray[np.uint8]:
    return np.bitwise_count(hashes ^ others)
