"""What a person can put right."""


class UserError(Exception):
    """A mistake that the person at the keyboard can mend; printed as one line, exit code 1.

    The message names the value, where it came from, the rule it breaks and the way out.
    """
