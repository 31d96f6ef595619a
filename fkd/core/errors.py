"""The one exception whose text is meant for the person at the terminal, and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """A problem that the user can fix.

    Its text is one line: what was expected, what was received, what to do. The command line prints it
    without a stack trace and exits with status 1.
    """


def one_line(text: object) -> str:
    """The text, such as that of an error, on one line."""
    return " ".join(str(text).split())


def first_problem(error: ValidationError) -> str:
    """The first of a model's problems, after the key that has it."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    problem = first["msg"].removeprefix("Value error, ")
    return f"{key}: {problem}" if key else problem
