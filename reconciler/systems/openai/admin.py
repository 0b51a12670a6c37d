"""The project behind the key: itself, the models it may use, and its rate limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.codec import nothing
from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.model import Action, Attrs, Change
from reconciler.systems.account import Client, Kind, Named, Setting, refusal
from reconciler.systems.account.pages import after_last, items, pages

ALLOWED: Final = "model "
DENIED: Final = "denied "
PREFIX: Final = {"allow_list": ALLOWED, "deny_list": DENIED}

RATES: Final = {
    "requests_per_minute": "max_requests_per_1_minute",
    "requests_per_day": "max_requests_per_1_day",
    "tokens_per_minute": "max_tokens_per_1_minute",
    "images_per_minute": "max_images_per_1_minute",
    "audio_megabytes_per_minute": "max_audio_megabytes_per_1_minute",
    "batch_input_tokens_per_day": "batch_1_day_max_input_tokens",
}
"""The manifest's words, and OpenAI's, for one project's limits of one model."""

NO_ROW: Final = "OpenAI has no rate limit for this model in this project, and byok cannot make one"
PAGE: Final = {"limit": 100}


@dataclass(frozen=True, slots=True)
class Admin:
    """The administration of one organisation, and what this manifest says of it."""

    setting: Setting
    client: Client

    @property
    def project(self) -> str | None:
        """The declared project's name."""
        name = self.setting.account().get("project")
        return None if name is None else str(name)

    def entries(self, path: str, **params: str) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a list, whatever its number of pages."""
        return items(pages(self.client, path, after_last, {**PAGE, **params}), "data")

    def document(self, path: str) -> Mapping[str, Any]:
        """Return a document of which there is at most one; an empty one where there is none.

        OpenAI does not say how it answers then: 404 and an empty document are both taken for it.
        """
        try:
            found = self.client.get(path).body
        except ProviderError as error:
            if error.kind is Problem.NOT_THERE:
                return {}
            raise
        if found is not None and not isinstance(found, Mapping):
            raise refusal(self.client.who, Problem.UNREADABLE)
        return found or {}

    def take_away(self, path: str) -> None:
        """Delete what may be gone already."""
        try:
            self.client.send("DELETE", path, again=True)
        except ProviderError as error:
            if error.kind is not Problem.NOT_THERE:
                raise


def part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object within an object; an empty one where there is none."""
    found = entry.get(name)
    return found if isinstance(found, Mapping) else {}


def organization(admin: Admin) -> str:
    """Return what the organisation is called in an answer's header, else in the manifest.

    Raises ProviderError where the organisation does not answer.
    """
    answer = admin.client.get("/organization/projects", PAGE)
    declared = str(admin.setting.account().get("organization", "default"))
    return answer.headers.get("openai-organization") or declared


def watched(admin: Admin) -> dict[str, str]:
    """Return the ids of those projects that the manifest names, or once named, by name.

    Raises ProviderError where two of them have one name.
    """
    on_record = [at.name for at in admin.setting.recorded]
    found: dict[str, str] = {}
    for name, id_ in _active(admin):
        if name != admin.project and not any(f"{at}/".startswith(f"{name}/") for at in on_record):
            continue
        if name in found:
            what = f"has two projects called {name}: byok tells projects apart by name"
            raise refusal(admin.client.who, Problem.UNSUPPORTED, what, "rename one of them")
        found[name] = id_
    return found


def _active(admin: Admin) -> Iterator[tuple[str, str]]:
    for project in admin.entries("/organization/projects"):
        live = project.get("status") != "archived" and not project.get("archived_at")
        if live and project.get("id") and isinstance(project.get("name"), str):
            yield project["name"], str(project["id"])


def on_record(admin: Admin, kind: str) -> bool:
    """Tell whether this team ever wrote to a kind of resource there."""
    return any(at.kind == kind for at in admin.setting.recorded)


def path_of(admin: Admin, name: str, rest: str = "") -> str:
    """Return the path of a project. Raises ProviderError where there is no such project."""
    id_ = watched(admin).get(name)
    if id_ is None:
        raise refusal(admin.client.who, Problem.NOT_THERE, f"has no project called {name}")
    return f"/organization/projects/{id_}{rest}"


def projects(admin: Admin) -> Kind:
    """Return the kind of projects: made and archived by name; nobody can bring one back."""

    def read() -> Named:
        watched(admin)
        return {name: {"status": "active"} for name, _ in _active(admin)}

    def write(name: str, _now: Attrs, goal: Attrs) -> None:
        if goal:
            admin.client.send("POST", "/organization/projects", {"name": name})
        else:
            admin.client.send("POST", path_of(admin, name, "/archive"), again=True)

    wanted = {admin.project: {"status": "active"}} if admin.project else {}
    return Kind("project", wanted, read, write, final=_archives, container=True)


def _archives(change: Change) -> bool:
    return change.action is Action.DELETE


def permissions(admin: Admin) -> Kind:
    """Return the kind of model permissions: one document for each project.

    An allow list takes the place of a deny list as a whole, so the denied models are ours too.
    """
    given = admin.setting.account()
    wanted: dict[str, Attrs] = {}
    if admin.project and "allow_models" in given:
        listed = {f"{ALLOWED}{model}": True for model in given["allow_models"]}
        wanted = {admin.project: {"mode": "allow_list", **listed}}

    def read() -> Named:
        found = {
            name: _policy(admin.document(path_of(admin, name, "/model_permissions")))
            for name in watched(admin)
        }
        return {name: attrs for name, attrs in found.items() if attrs}

    def write(name: str, _now: Attrs, goal: Attrs) -> None:
        path, mode = path_of(admin, name, "/model_permissions"), str(goal.get("mode", ""))
        if mode not in PREFIX:
            admin.take_away(path)
            return
        models = [n.removeprefix(PREFIX[mode]) for n in goal if n.startswith(PREFIX[mode])]
        body = {"mode": mode, "model_ids": sorted(models)}
        admin.client.send("POST", path, body, again=True)

    whole = {name: "" if given.get("exclusive") else DENIED for name in wanted}
    return Kind("model-permissions", wanted, read, write, exclusive=whole)


def _policy(document: Mapping[str, Any]) -> Attrs:
    """Read a policy; a deny list of nothing is none."""
    mode, models = str(document.get("mode")), document.get("model_ids")
    if mode not in PREFIX or (mode == "deny_list" and not models):
        return {}
    return {"mode": mode, **{f"{PREFIX[mode]}{model}": True for model in models or ()}}


def limits(admin: Admin) -> Kind:
    """Return the kind of rate limits, ``PROJECT/MODEL``; the rows are OpenAI's own.

    What is wanted of a project that is not made yet is there as soon as the project is.
    """
    given: Mapping[str, Attrs] = admin.setting.account().get("rate_limits", {})
    wanted = {f"{admin.project}/{m}": rates for m, rates in given.items()} if admin.project else {}

    def read() -> Named:
        there = watched(admin)
        bare: dict[str, Attrs] = {} if admin.project in there else {name: {} for name in wanted}
        return bare | {name: attrs for name, _, attrs in _rows(admin, there)}

    def write(name: str, now: Attrs, goal: Attrs) -> None:
        path = next((p for n, p, _ in _rows(admin, watched(admin)) if n == name), None)
        if path is None:
            raise refusal(admin.client.who, Problem.NOT_THERE, NO_ROW)
        body = {RATES[n]: value for n, value in goal.items() if value != now.get(n)}
        if body:
            admin.client.send("POST", path, body, again=True)

    return Kind("rate-limit", wanted, read, write, missing=NO_ROW, supplied=True)


def _rows(admin: Admin, there: Mapping[str, str]) -> Iterator[tuple[str, str, Attrs]]:
    """Yield name, path and attributes of each row."""
    for project in there:
        path = path_of(admin, project, "/rate_limits")
        for row in admin.entries(path):
            attrs = {n: row.get(ours) for n, ours in RATES.items() if not nothing(row.get(ours))}
            yield f"{project}/{row.get('model')}", f"{path}/{row.get('id')}", attrs
