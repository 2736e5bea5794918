"""The result codes of the application, as they stand in CheckTx and ExecTxResult."""

from __future__ import annotations

from enum import IntEnum

CODESPACE = "isthmus"


class Code(IntEnum):
    """0 is success; a code keeps its meaning for ever."""

    OK = 0
    MALFORMED = 1
    WRONG_CHAIN = 2
    UNKNOWN_ACCOUNT = 3
    BAD_SEQUENCE = 4
    BAD_SIGNATURE = 5
    INSUFFICIENT_BALANCE = 6
    NOT_ISSUER = 7
    ACCOUNT_EXISTS = 8
    ASSET_EXISTS = 9
    UNKNOWN_ASSET = 10
    UNKNOWN_RECIPIENT = 11
    BAD_TERMS = 12
    SUPPLY_OVERFLOW = 13
    LOCK_EXISTS = 14
    LOCK_ABSENT = 15
    LOCK_SETTLED = 16
    WRONG_PREIMAGE = 17
    DEADLINE_PASSED = 18
    DEADLINE_NOT_REACHED = 19


class Refused(Exception):
    """The application says no to one transaction. The message holds no preimage and no key."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
