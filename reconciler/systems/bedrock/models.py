"""The declared models against what Bedrock has in this region, and how it lets them be called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.systems.account import Answer, Client, Setting, Sight, refusal
from reconciler.systems.account.findings import ModelFact, day, escape, models
from reconciler.systems.account.pages import items, pages
from reconciler.systems.account.transport import NO_HOST
from reconciler.systems.bedrock.wire import region

PAGE: Final = 1000
LACKING: Final = (
    (("regionAvailability",), "AVAILABLE", "is not offered in this region", "use another region"),
    (
        ("entitlementAvailability",),
        "AVAILABLE",
        "is not open to this account",
        "ask for access to it in the Bedrock console",
    ),
    (
        ("agreementAvailability", "status"),
        "AVAILABLE",
        "waits for its agreement to be accepted",
        "accept it in the Bedrock console; byok never does: it is a contract",
    ),
    (
        ("authorizationStatus",),
        "AUTHORIZED",
        "is not authorised for this account",
        "ask for access to it in the Bedrock console",
    ),
)
"""What GetFoundationModelAvailability answers where a model may be called (botocore 1.44)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a region offers: models by id, and the ids behind each profile's id and ARN."""

    models: Mapping[str, Mapping[str, Any]]
    profiles: Mapping[str, tuple[str, ...]]

    def behind(self, name: str) -> str:
        """Return the id of the model that answers under a name."""
        return (self.profiles.get(name) or (name,))[0]

    def routes(self, name: str) -> tuple[str, ...]:
        """Return the profiles through which a model can be called, their ids only."""
        return tuple(
            sorted(
                p for p, ids in self.profiles.items() if name in ids and not p.startswith("arn:")
            )
        )


def look(setting: Setting, client: Client) -> Sight:
    """Compare the declared models with the region's offer.

    Raises ProviderError where Bedrock does not answer; what this key may only not list is said.
    """
    try:
        offer = _offer(client)
    except ProviderError as error:
        if error.what == NO_HOST:
            raise _no_region(setting) from None
        if error.kind is not Problem.NO_ACCESS:
            raise
        text = "not checked: this key may not list them (bedrock:ListFoundationModels)"
        return setting.saw("model", "*", text)
    lacking = {entry.id: _lack(client, entry.id, offer) for entry in setting.models()}
    sight = models(setting, dict(_facts(offer, lacking)))
    for name, lack in lacking.items():
        if lack is not None:
            what, way_out = f"{name} {lack[0]}", lack[1]
            sight += setting.found("BYOK132", what, way_out, pointer=f"/models/{escape(name)}")
    return sight


def _no_region(setting: Setting) -> ProviderError:
    what = f"is not in {region(setting)}: there is no such host"
    way_out = "correct region; AWS's page of endpoints lists the regions that have Bedrock"
    return refusal("AWS Bedrock", Problem.WRONG_ENDPOINT, what, way_out)


def _offer(client: Client) -> Offer:
    listed = items(pages(client, "/foundation-models", _last), "modelSummaries", omitted=True)
    found = {str(model.get("modelId")): model for model in listed}
    try:
        profiles = dict(_profiles(client))
    except ProviderError as error:
        if error.kind not in (Problem.NO_ACCESS, Problem.UNSUPPORTED, Problem.NOT_THERE):
            raise
        profiles = {}
    return Offer(found, profiles)


def _last(_answer: Answer) -> None:
    return None


def _profiles(client: Client) -> Iterator[tuple[str, tuple[str, ...]]]:
    def onward(answer: Answer) -> Mapping[str, Any] | None:
        token = answer.at("nextToken")
        return {"nextToken": token} if token else None

    listed = pages(client, "/inference-profiles", onward, {"maxResults": PAGE})
    for profile in items(listed, "inferenceProfileSummaries", omitted=True):
        behind = profile.get("models") or ()
        ids = tuple(str(model.get("modelArn", "")).rpartition("/")[2] for model in behind)
        for name in ("inferenceProfileId", "inferenceProfileArn"):
            yield str(profile.get(name)), tuple(dict.fromkeys(ids))


def _facts(
    offer: Offer, lacking: Mapping[str, tuple[str, str] | None]
) -> Iterator[tuple[str, ModelFact]]:
    for name, lack in lacking.items():
        model = offer.models.get(offer.behind(name))
        if model is not None:
            remarks = ["through an inference profile"] if name in offer.profiles else []
            yield name, _fact(model, remarks if lack is None else [f"but it {lack[0]}"])
        elif name.startswith("arn:"):
            yield name, ModelFact(remark="its ARN is not looked up")


def _fact(model: Mapping[str, Any], remarks: list[str]) -> ModelFact:
    cycle = model.get("modelLifecycle") or {}
    legacy = ["legacy: its vendor names a successor"] if cycle.get("status") == "LEGACY" else []
    return ModelFact(day(cycle.get("endOfLifeTime")), ", ".join([*remarks, *legacy]))


def _lack(client: Client, name: str, offer: Offer) -> tuple[str, str] | None:
    """Return what keeps a listed model from being called by this name, and the way out."""
    if offer.behind(name) not in offer.models:
        return None
    return _route(name, offer) or _closed(client, offer.behind(name))


def _route(name: str, offer: Offer) -> tuple[str, str] | None:
    """Tell of a model that is called by its own id, and only answers through a profile."""
    ways = offer.models[offer.behind(name)].get("inferenceTypesSupported") or ()
    if name in offer.profiles or "ON_DEMAND" in ways or not ways:
        return None
    routes = offer.routes(name)
    way_out = f"write {' or '.join(routes[:3])}" if routes else "use another model, or region"
    return "cannot be called by this id: it needs an inference profile", way_out


def _closed(client: Client, model: str) -> tuple[str, str] | None:
    try:
        answer = client.get(f"/foundation-model-availability/{quote(model, safe='')}")
    except ProviderError as error:
        if error.kind not in (Problem.NO_ACCESS, Problem.NOT_THERE, Problem.REJECTED):
            raise
        return None
    for path, good, what, way_out in LACKING:
        if answer.at(*path) != good:
            return what, way_out
    return None
