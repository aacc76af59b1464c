"""What can go wrong. Each message is the program's own sentence."""


class Error(Exception):
    """Any failure of s3mem."""


class ProgramMissing(Error):
    """The program ``s3mem`` is not where this package was installed."""


class MountError(Error):
    """The mount failed: no such bucket, a missing permission, a wrong option."""


class CannotMount(MountError):
    """Nothing can be mounted on this machine, or not by this user."""


class UnmountError(Error):
    """The mount stays: files can't be uploaded, or the daemon does not answer."""
