"""The text of pixels as numbers: all rows at once where they are written plainly, else one by one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fkd.data.csv_cells import Cell, Line, shown

_LARGEST_PIXEL = np.iinfo(np.uint8).max


def parse_plain_pixels(texts: Sequence[bytes], pixels: int) -> npt.NDArray[np.uint8] | None:
    """The pixels of rows of `pixels` numbers with single spaces between them, shape (rows, pixels).

    None where a row has more or fewer numbers, other characters, or a number above 255 or of four digits.
    """
    # With two bytes in front the first number too has a place for hundreds.
    text = np.frombuffer(b" ".join((b"", b"", *texts, b"")), np.uint8)
    places = np.flatnonzero(text[3:] == ord(" "))  # of each number's hundreds, three bytes before its space
    row_ends = np.cumsum([len(row) + 1 for row in texts]) - 2
    if not texts or len(places) != pixels * len(texts) or (places[pixels - 1 :: pixels] != row_ends).any():
        return None
    # A byte below "0" wraps round, so that it too is above 9.
    hundreds, tens, ones = (text[shift:].take(places) - np.uint8(ord("0")) for shift in range(3))
    has_tens = tens <= 9
    has_hundreds = (hundreds <= 9) & has_tens
    digits = len(places) + np.count_nonzero(has_tens) + np.count_nonzero(has_hundreds)
    if ones.max() > 9 or 2 + digits + len(places) != len(text):
        return None  # what is neither a digit of a number nor the space after it
    hundreds *= has_hundreds
    below_100 = np.uint8(10) * (tens * has_tens) + ones
    values = np.uint8(100) * hundreds + below_100
    if hundreds.max() > 2 or (values < below_100).any():  # above 255 they wrap round
        return None
    return values.reshape(len(texts), pixels)


def parse_spaced_pixels(row: Line, text: bytes, pixels: int) -> list[int]:
    """The pixels of one row with any white space between them; slow.

    Raises UserError at the first value that is no pixel, and for another number of them than `pixels`.
    """
    cell = Cell(row.path, row.number, "Image", "")
    numbers = text.split()
    for place, number in enumerate(numbers, start=1):
        if not number.isdigit() or float(number) > _LARGEST_PIXEL:
            received = f"{shown(number.decode(errors='replace'))} as pixel {place}"
            raise cell.error(f"pixels from 0 to {_LARGEST_PIXEL}", received)
    if len(numbers) != pixels:
        raise cell.error(f"{pixels} pixels", f"{len(numbers)}")
    return [int(float(number)) for number in numbers]  # `int` refuses thousands of leading zeros
