"""The error of a set-up that cannot go on."""


class SetupError(Exception):
    """The set-up cannot go on; the text says what is missing and how to mend it."""
