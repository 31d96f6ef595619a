"""Pixels parsed at once; test_kaggle_csv.py has the messages about wrong ones."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fkd.data.pixel_text import parse_plain_pixels

NUMBERS = st.integers(0, 400).map(str) | st.text("0259 -", max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=3).map(" ".join), max_size=3))
def test_the_fast_way_gives_the_numbers_or_nothing(rows: list[str]) -> None:
    parsed = parse_plain_pixels([row.encode() for row in rows], 2)
    plain = [re.fullmatch("[0-9]{1,3} [0-9]{1,3}", row) for row in rows]
    numbers = [
        [int(number) for number in row.split()] for row, match in zip(rows, plain, strict=True) if match
    ]
    if rows and all(plain) and np.max(numbers) <= 255:
        np.testing.assert_array_equal(parsed, numbers)
    else:
        assert parsed is None
