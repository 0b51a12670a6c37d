"""Acme, a provider that does not exist: the smallest API that has all that the real ones have."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.simulators.server import Request, Response, Simulator

KEY, ADMIN_KEY = "acme-" + "k1" * 12, "acme-admin-" + "a1" * 12
PAGE = 2
KINDS = ("projects", "limits", "alerts", "allowed", "quotas")


class Toy(Simulator):
    """One account. Of each kind things are listed in pages, made, changed with their version, gone.

    ``shut`` maps a kind to the status that closes it. ``lag`` is how many reads of a kind still
    show what was before a write; a ``frozen`` kind shows it for ever; a ``deaf`` one accepts a
    write and does nothing.
    """

    prefix = "toy"

    def __init__(self, key: str = KEY, admin_key: str = ADMIN_KEY, *, account: str = "a1") -> None:
        super().__init__()
        self.key, self.admin_key, self.account = key, admin_key, account
        self.things: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.models = ["acme-large", "acme-small"]
        self.shut: dict[str, int] = {}
        self.lag = 0
        self.frozen: set[str] = set()
        self.deaf: set[str] = set()
        self._old: dict[str, tuple[int, dict[str, dict[str, Any]]]] = {}
        self._made = 0

    def snapshot(self) -> str:
        return json.dumps(self.things, sort_keys=True)

    def add(self, kind: str, name: str, **fields: Any) -> str:
        """Have somebody else make a thing; return its id."""
        self._made += 1
        id_ = f"{kind}-{self._made}"
        self.things[kind][id_] = {"id": id_, "name": name, "version": 1, "fields": fields}
        return id_

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the fields of all things of a kind, by name."""
        return {each["name"]: each["fields"] for each in self.things[kind].values()}

    def move(self, kind: str, name: str, **fields: Any) -> None:
        """Have somebody else change a thing."""
        thing = next(each for each in self.things[kind].values() if each["name"] == name)
        thing["fields"] = {n: v for n, v in {**thing["fields"], **fields}.items() if v is not None}
        thing["version"] += 1

    def thaw(self) -> None:
        """Put everything in force that was accepted."""
        self.frozen.clear()
        self._old.clear()

    def answer(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if request.path == "/models":
            if given != f"Bearer {self.key}":
                return self._dead(given)
            return Response(200, {"data": [{"id": name} for name in self.models]})
        if given != f"Bearer {self.admin_key}":
            return self._dead(given)
        if request.path == "/whoami":
            return Response(200, {"account": self.account})
        kind, _, id_ = request.path.strip("/").partition("/")
        if kind not in self.things:
            return Response(404, {"code": "no_route"})
        if kind in self.shut:
            return Response(self.shut[kind], {"code": "shut"})
        return self._answer(request, kind, id_)

    def _dead(self, given: str) -> Response:
        known = given in (f"Bearer {self.key}", f"Bearer {self.admin_key}")
        return Response(401, {"code": "wrong_kind" if known else "bad_key"})

    def _answer(self, request: Request, kind: str, id_: str) -> Response:
        match request.method, id_:
            case "GET", "":
                return self._list(kind, request.one("after"))
            case "POST", "":
                return self._make(kind, request.json)
            case (("PUT" | "DELETE"), id_) if id_ in self.things[kind]:
                if request.method == "PUT":
                    return self._change(request, kind, id_)
                return self._take(kind, id_)
            case _:
                return Response(404, {"code": "not_there"})

    def _list(self, kind: str, after: str | None) -> Response:
        left, old = self._old.get(kind, (0, {}))
        if after is None and left > 0 and kind not in self.frozen:
            self._old[kind] = (left - 1, old)
        shown = list((old if left else self.things[kind]).values())
        ids = [thing["id"] for thing in shown]
        start = ids.index(after) + 1 if after in ids else 0
        page = copy.deepcopy(shown[start : start + PAGE])
        more = start + PAGE < len(shown)
        last = page[-1]["id"] if page else None
        return Response(200, {"data": page, "has_more": more, "last_id": last})

    def _written(self, kind: str) -> None:
        if self.lag or kind in self.frozen:
            before = self._old.get(kind, (0, {}))
            old = before[1] if before[0] else copy.deepcopy(self.things[kind])
            self._old[kind] = (max(self.lag, 1), old)

    def _make(self, kind: str, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() != {"name", "fields"}:
            return Response(400, {"code": "bad_body"})
        if body["name"] in self.named(kind):
            return Response(409, {"code": "taken"})
        parent = body["name"].partition("/")[0]
        if kind != "projects" and parent not in self.named("projects"):
            return Response(400, {"code": "no_such_project"})
        if kind not in self.deaf:
            self._written(kind)
            self.add(kind, body["name"], **body["fields"])
        return Response(201, {"code": "made"})

    def _change(self, request: Request, kind: str, id_: str) -> Response:
        thing = self.things[kind][id_]
        if request.headers.get("if-match") != str(thing["version"]):
            return Response(412, {"code": "moved"})
        if request.json.keys() != {"fields"}:
            return Response(400, {"code": "bad_body"})
        if kind not in self.deaf:
            self._written(kind)
            self.things[kind][id_] = {
                **thing,
                "fields": request.json["fields"],
                "version": thing["version"] + 1,
            }
        return Response(200, {"code": "changed"})

    def _take(self, kind: str, id_: str) -> Response:
        name = self.things[kind][id_]["name"]
        inside = (n for other in KINDS[1:] for n in self.named(other))
        if kind == "projects" and any(n.partition("/")[0] == name for n in inside):
            return Response(409, {"code": "not_empty"})
        if kind not in self.deaf:
            self._written(kind)
            del self.things[kind][id_]
        return Response(204)
