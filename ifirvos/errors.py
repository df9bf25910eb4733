"""What a user can mend: every message names the file or option, what is wrong with it, and what to do."""


class OutputExistsError(FileExistsError):
    """A result is already there and must not be overwritten."""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what to give instead."""


class VideoError(ValueError):
    """A video that cannot be read or written; the message says which, and why."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit its model."""
