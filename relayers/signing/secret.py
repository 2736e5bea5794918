"""Secrets by reference: ``file:PATH``, ``env:NAME``, or a prompt; never an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


class SecretMissing(Exception):
    """A reference leads to no secret. The message names the reference, never what it held."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that never shows itself: not in repr, str, or a traceback."""

    text: str

    def __repr__(self) -> str:
        return "Secret(<hidden>)"


Prompt = Callable[[str], str]
"""Asks a person, without echo; ``getpass.getpass`` is one."""


def resolve(
    reference: str | None,
    *,
    what: str,
    environment: Mapping[str, str],
    folder: Path,
    prompt: Prompt | None,
) -> Secret:
    """The secret behind a reference; None asks at the prompt.

    ``what`` is named in errors ("the passphrase of ..."). ``folder``: where relative paths begin.
    Of a file one line end at its end is dropped. Raises SecretMissing.
    """
    if reference is None:
        if prompt is None:
            raise SecretMissing(
                f"{what} is needed and there is nobody to ask: give it as file:PATH or env:NAME"
            )
        text = prompt(f"{what}: ")
    else:
        text = _read(reference, what, environment, folder)
    if not text:
        raise SecretMissing(f"{what} is empty")
    return Secret(text)


def _read(reference: str, what: str, environment: Mapping[str, str], folder: Path) -> str:
    kind, _, rest = reference.partition(":")
    match kind:
        case "env":
            if rest not in environment:
                raise SecretMissing(f"{what}: the environment has no variable {rest}")
            return environment[rest]
        case "file":
            path = folder / rest
            try:
                return path.read_text().removesuffix("\n").removesuffix("\r")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not text"
                raise SecretMissing(f"{what}: {path} cannot be read: {why}") from None
        case _:
            # The reference itself is not shown: it may be the secret, written in its place.
            raise SecretMissing(f"{what} must be given as file:PATH or env:NAME, not as such")
