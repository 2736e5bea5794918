"""The API's own description, OpenAPI, where the framework's would say what is not sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI, params

from gateway.api.problem import Problem
from gateway.api.problems import MEDIA_TYPE

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Problem, "description": "Refused; nothing was changed."},
    "5XX": {"model": Problem, "description": "Not now, or a fault of the gateway."},
}
"""Of every operation."""

EVENT_STREAM: Final = "text/event-stream"

Guards = Sequence[params.Depends]
"""What must pass before an operation is begun."""


def described_router(prefix: str, tag: str, guards: Guards) -> APIRouter:
    """Whose operations are complete: for ``DescribedApi.take``."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=guards, responses=REFUSALS)


class DescribedApi(FastAPI):
    """An application that describes errors as problems, and streams as streams."""

    def take(self, router: APIRouter) -> None:
        """The router's operations as they are. ``include_router`` would draw the schemas of each
        once more, when the first request comes, and hold up the event loop with it."""
        self.router.routes.extend(router.routes)

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        for item in described["paths"].values():
            for operation in item.values():
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if status in REFUSALS:
                        response["content"] = {MEDIA_TYPE: content.popitem()[1]}
                    elif EVENT_STREAM in content:
                        # The model was declared as JSON; it is what each event's data holds.
                        data = content.pop("application/json", None)
                        content[EVENT_STREAM] = data or content[EVENT_STREAM]
        return described
