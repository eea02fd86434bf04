"""The error that ends a start-up with one clear line. Raise it from `build`; `server.run` reports it."""

EXIT_CANNOT_START = 2


class StartupError(Exception):
    """The service cannot start; the message names the setting or file and the mend."""
