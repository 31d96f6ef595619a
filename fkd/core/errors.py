"""The one exception whose text is meant for the person at the terminal."""


class UserError(Exception):
    """A problem that the user can fix.

    Its text is one line: what was expected, what was received, what to do. The command line prints it
    without a stack trace and exits with status 1.
    """


def one_line(text: object) -> str:
    """The text, such as that of an error, on one line."""
    return " ".join(str(text).split())
