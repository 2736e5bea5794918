"""What a request's body does not allow, said of the option that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.cli.answers import Failed


@contextmanager
def refused_as(options: Mapping[str, str]) -> Iterator[None]:
    """Raises Failed in place of pydantic's error, without repeating what was typed. ``options``:
    how each of the body's fields is called on the command line."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = options.get(field, f"--{field.replace('_', '-')}")
        most = first.get("ctx", {}).get("max_length")
        if most is not None:
            why = f"it has {len(first['input'])} characters; at most {most} are allowed"
        else:
            why = first["msg"].removeprefix("Value error, ")
        raise Failed(f"{name}: {why}") from None
