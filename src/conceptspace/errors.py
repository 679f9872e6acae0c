"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """Bad input, described in one sentence: what is wrong, where, and what would be right.

    The command line prints it without a traceback and exits with ``status``.
    """

    status = 2


class Diverged(UserError):
    """Training, or a trained model, gave a number that is not finite."""

    status = 1
