"""The error that is shown to the user."""


class UserError(Exception):
    """A mistake that the user can correct; printed as one line, exit code 1.

    The message names the value, where it came from, the rule that it breaks and the way out.
    """
