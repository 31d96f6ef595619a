"""A part of a Markdown file that a command writes, the rest being written by hand."""

from pathlib import Path

from fkd.core.errors import UserError
from fkd.core.files import read_regular

_MOST_BYTES = 2**24
_BEGIN, _END = "<!-- begin: written by {0} -->\n", "<!-- end: written by {0} -->\n"


def replace_part(path: Path, command: str, part: str) -> str:
    """The file's text with the part between the command's two marks replaced; a missing file is that part.

    Raises UserError if one of the marks is missing, or if it is no text in UTF-8.
    """
    begin, end = _BEGIN.format(command), _END.format(command)
    try:
        text = read_regular(path, _MOST_BYTES).decode()
    except FileNotFoundError:
        text = begin + end
    except ValueError as error:
        received = f"other bytes ({error.reason})" if isinstance(error, UnicodeDecodeError) else error
        raise UserError(f"{path}: expected text in UTF-8, received {received}; put the file back") from error
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise UserError(
            f"{path}: expected the lines {begin.strip()} and {end.strip()}; put them where it writes"
        )
    return f"{before}{begin}{part}{end}{after}"
