"""The API's own description, OpenAPI, where the framework's would say what is not sent."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from gateway.api.problem import Problem
from gateway.api.problems import MEDIA_TYPE

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Problem, "description": "Refused; nothing was changed."},
    "5XX": {"model": Problem, "description": "Not now, or a fault of the gateway."},
}
"""Of every operation."""

EVENT_STREAM: Final = "text/event-stream"


class DescribedApi(FastAPI):
    """An application that describes errors as problems, and streams as streams."""

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
