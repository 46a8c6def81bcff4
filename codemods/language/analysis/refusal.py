"""Why a place cannot be translated."""

from __future__ import annotations


class Refused(Exception):
    """The place needs a person: ``message`` is the key of one in ``lowering/messages.py``, ``fields`` fill it
    in.
    """

    def __init__(self, message: str, **fields: str) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
