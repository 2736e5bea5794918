"""An error as the API answers it (RFC 9457), apart from the server, so that a client is light."""

from __future__ import annotations

from pydantic import BaseModel, Field

from gateway.api.codes import PROBLEMS


class Problem(BaseModel):
    """An error. ``code`` is stable; ``detail`` is one sentence for people."""

    status: int
    code: str = Field(
        description="Stable, for programs.", json_schema_extra={"enum": [*sorted(PROBLEMS)]}
    )
    title: str
    detail: str
    field: str | None = Field(default=None, description="The path of the input that is to blame.")
