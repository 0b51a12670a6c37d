"""Cursor's Admin API as documented in November 2026: usage by day, model access as a preview."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from tests.simulators.server import Request, Response, Simulator


class CursorTeam(Simulator):
    """One team; ``enterprise`` opens the preview of model access."""

    prefix = "cursor-team"

    def __init__(self, key: str, *, enterprise: bool = True) -> None:
        super().__init__()
        self.key, self.enterprise = key, enterprise
        self.usage: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = [{"name": "gpt-4o"}, {"name": "claude-sonnet-4-5"}]

    def snapshot(self) -> str:
        return json.dumps([self.usage, self.models])

    def writes(self) -> list[Request]:
        return [r for r in super().writes() if r.path != "/teams/daily-usage-data"]

    def answer(self, request: Request) -> Response:
        given = "Basic " + b64encode(f"{self.key}:".encode()).decode()
        if request.headers.get("authorization") != given:
            return Response(401, {"error": "Unauthorized", "message": "Invalid API key"})
        match request.method, request.path:
            case "POST", "/teams/daily-usage-data":
                body = request.json
                days = (body["endDate"] - body["startDate"]) / 86_400_000
                if not 0 <= days <= 30:
                    return Response(400, {"error": "Bad Request", "message": "at most 30 days"})
                return Response(200, {"data": self.usage, "period": body})
            case "GET", "/teams/model-access/models" if self.enterprise:
                return Response(200, {"models": self.models})
            case "GET", "/teams/model-access/models":
                return Response(403, {"error": "Forbidden", "message": "Enterprise only"})
            case _:
                return Response(404, {"error": "Not Found"})
