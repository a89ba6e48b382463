"""What can go wrong while the machine is being set up."""


class SetupError(Exception):
    """The set-up cannot go on; the text says what is missing and how to mend it."""
