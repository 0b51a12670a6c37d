"""An AWS account with Bedrock: STS, IAM, Bedrock, Budgets and Cost Explorer behind one address."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from tests.simulators.aws_budgets import Budgets
from tests.simulators.aws_iam import Iam
from tests.simulators.aws_wire import (
    Fault,
    Principal,
    authenticate,
    denied,
    failed,
    fields,
    form,
    service_of,
    xml,
)
from tests.simulators.server import Request, Response, Simulator

KEY = ("AKIA" + "BYOKUSER" * 2, "u5er" * 10)
ADMIN = ("AKIA" + "BYOKADMA" * 2, "adm1" * 10)
ALIAS = "BedrockAPIKey-demo-at-111122223333"
API_KEY = "ABSK" + b64encode(f"{ALIAS}:{'s3cr' * 20}".encode()).decode()
GLOBAL = ("sts", "iam", "budgets", "ce")
CLAUDE, NOVA, TITAN = (
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-pro-v1:0",
    "amazon.titan-text-express-v1",
)


class Bedrock(Simulator):
    """One account. ``key`` is the ordinary user's, ``admin`` the administrator's: id and secret.

    ``iam.lag``: for so many reads IAM still shows what stood before the last write. ``closed``
    holds operations that the administrator may not do. ``spent`` is what a budget action does: the
    user's own policies deny Bedrock.
    """

    prefix = "bedrock"

    def __init__(
        self,
        key: tuple[str, str] = KEY,
        admin: tuple[str, str] = ADMIN,
        *,
        api_key: str = API_KEY,
        account: str = "111122223333",
        user: str = "byok-cursor",
        region: str = "us-east-1",
        page: int = 2,
    ) -> None:
        super().__init__()
        self.account, self.user, self.region, self.page = account, user, region, page
        self.regions = {"iam": "us-east-1", "budgets": "us-east-1", "ce": "us-east-1"}
        self.regions |= {"sts": region, "bedrock": region}
        self.keys = {
            key[0]: Principal(key[1], f"user/{user}"),
            admin[0]: Principal(admin[1], "user/admin", admin=True),
        }
        self.api_keys = {api_key: ALIAS}
        self.iam = Iam(account, region, page, self.keys, self.api_keys)
        made = self.iam.add(user, key[0])
        held = {"id": "ACCA" + "BYOKSPEC" * 2, "alias": ALIAS, "status": "Active"}
        dates = {"made": "2026-09-02T00:00:00Z", "ends": "2027-03-01T00:00:00Z"}
        made["credentials"] = [{**held, **dates, "value": api_key}]
        self.iam.add("admin")
        self.closed: set[str] = set()
        self.spent = False
        self.money = Budgets(account, page=page)
        self.answers: list[tuple[Request, Response]] = []
        self.models = {
            NOVA: {"ways": ["ON_DEMAND"], "status": "ACTIVE"},
            CLAUDE: {"ways": ["INFERENCE_PROFILE"], "status": "ACTIVE"},
            TITAN: {"ways": ["ON_DEMAND"], "status": "LEGACY", "ends": "2027-06-30T00:00:00Z"},
        }
        self.unavailable: dict[str, dict[str, Any]] = {}
        self.profiles = {f"us.{CLAUDE}": CLAUDE, f"global.{CLAUDE}": CLAUDE, f"us.{NOVA}": NOVA}

    @property
    def late(self) -> int:
        """For how many requests AWS does not know a key that IAM made."""
        return self.iam.late

    @late.setter
    def late(self, requests: int) -> None:
        self.iam.late = requests

    def snapshot(self) -> str:
        policies = {name: user["policies"] for name, user in self.iam.users.items()}
        return json.dumps([policies, self.iam.keys_shown(), self.money.state()], sort_keys=True)

    def writes(self) -> list[Request]:
        return [request for request in super().writes() if not _reads(request)]

    def answer(self, request: Request) -> Response:
        service = service_of(request)
        try:
            found = self._answered(service, request)
        except Fault as fault:
            found = failed(service, fault)
        self.answers.append((request, found))
        return found

    def _answered(self, service: str, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if service == "bedrock" and self.iam.knows(bearer):
            return self._bedrock(request, f"user/{self.user}")
        if request.headers.get("authorization", "").startswith("Bearer "):
            body = {"Message": "Authentication failed: Please make sure your API Key is valid."}
            return Response(403, body)
        who = authenticate(request, self.keys, self.regions)
        if service == "bedrock":
            return self._bedrock(request, who.arn)
        if service in ("sts", "iam"):
            return self._query(service, form(request), who)
        return self._json(service, request, who)

    def _may(self, who: Principal, service: str, action: str) -> None:
        if service != "sts" and (not who.admin or action in self.closed):
            fault = denied(f"arn:aws:iam::{self.account}:{who.arn}", f"{service}:{action}")
            if service != "iam":
                fault.code, fault.status = "AccessDeniedException", 400
            raise fault

    def _json(self, service: str, request: Request, who: Principal) -> Response:
        if request.headers.get("content-type") != "application/x-amz-json-1.1":
            raise Fault("SerializationException")
        action = request.headers.get("x-amz-target", "").partition(".")[2]
        self._may(who, service, action)
        try:
            body = request.json
        except ValueError:
            raise Fault("SerializationException") from None
        if service == "ce":
            return Response(200, self.money.cost_and_usage(body))
        return Response(200, self.money.call(action, body))

    def _query(self, service: str, given: dict[str, str], who: Principal) -> Response:
        action, version = given.pop("Action", ""), given.pop("Version", "")
        if version != {"iam": "2010-05-08", "sts": "2011-06-15"}[service]:
            raise Fault("InvalidAction", f"Could not find operation {action} for version {version}")
        self._may(who, service, action)
        if action == "GetCallerIdentity" and service == "sts":
            return xml(service, action, self._caller(who))
        return xml(service, action, self.iam.call(action, given))

    def _caller(self, who: Principal) -> str:
        arn = f"arn:aws:iam::{self.account}:{who.arn}"
        return f"<Arn>{arn}</Arn><UserId>AIDABYOK</UserId><Account>{self.account}</Account>"

    def _bedrock(self, request: Request, arn: str) -> Response:
        action = {"foundation-models": "ListFoundationModels"}.get(request.path[1:], "InvokeModel")
        if self.spent or action in self.closed:
            whose = f"arn:aws:iam::{self.account}:{arn}"
            fault = denied(whose, f"bedrock:{action}", explicit=self.spent)
            fault.code = "AccessDeniedException"
            raise fault
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["foundation-models"]:
                return Response(200, {"modelSummaries": [self._model(n) for n in self.models]})
            case "GET", ["foundation-model-availability", name]:
                return self._availability(name)
            case "GET", ["inference-profiles"]:
                return self._list_profiles(request)
            case "POST", ["model", name, "converse"]:
                return self._converse(name, request.json)
            case _:
                raise Fault("UnknownOperationException", "", 404)

    def _model(self, name: str) -> dict[str, Any]:
        model = self.models[name]
        ends = {"endOfLifeTime": model["ends"]} if "ends" in model else {}
        return {
            "modelArn": f"arn:aws:bedrock:{self.region}::foundation-model/{name}",
            "modelId": name,
            "modelName": name.partition(".")[2][:20],
            "providerName": name.partition(".")[0].title(),
            "inputModalities": ["TEXT"],
            "outputModalities": ["TEXT"],
            "responseStreamingSupported": True,
            "customizationsSupported": [],
            "inferenceTypesSupported": model["ways"],
            "modelLifecycle": {"status": model["status"], **ends},
        }

    def _availability(self, name: str) -> Response:
        if name not in self.models:
            raise Fault("ResourceNotFoundException", "no such model", 404)
        good = {
            "modelId": name,
            "agreementAvailability": {"status": "AVAILABLE"},
            "authorizationStatus": "AUTHORIZED",
            "entitlementAvailability": "AVAILABLE",
            "regionAvailability": "AVAILABLE",
        }
        return Response(200, {**good, **self.unavailable.get(name, {})})

    def _list_profiles(self, request: Request) -> Response:
        most = int(request.one("maxResults", "100") or "0")
        if not 1 <= most <= 1000:
            raise Fault("ValidationException", "maxResults")
        start = int(b64decode(request.one("nextToken", "MA==") or "").decode())
        names = list(self.profiles)
        size = min(most, self.page)
        found = [self._profile(name) for name in names[start : start + size]]
        more = {"nextToken": b64encode(str(start + size).encode()).decode()}
        rest = more if start + size < len(names) else {}
        return Response(200, {"inferenceProfileSummaries": found, **rest})

    def _profile(self, name: str) -> dict[str, Any]:
        behind = self.profiles[name]
        where = f"arn:aws:bedrock:{self.region}:{self.account}:inference-profile/{name}"
        model = f"::foundation-model/{behind}"
        return {
            "inferenceProfileName": "Anthropic Claude",
            "inferenceProfileArn": where,
            "models": [
                {"modelArn": f"arn:aws:bedrock:us-east-1{model}"},
                {"modelArn": f"arn:aws:bedrock:us-west-2{model}"},
            ],
            "inferenceProfileId": name,
            "status": "ACTIVE",
            "type": "SYSTEM_DEFINED",
        }

    def _converse(self, name: str, body: dict[str, Any]) -> Response:
        fields(body, "messages", "inferenceConfig system")
        model = self.models.get(self.profiles.get(name, name))
        if model is None:
            raise Fault("ValidationException", "The provided model identifier is invalid.")
        if name not in self.profiles and "ON_DEMAND" not in model["ways"]:
            message = f"Invocation of model ID {name} with on-demand throughput isn’t supported."
            raise Fault("ValidationException", message)
        if self.profiles.get(name, name) in self.unavailable:
            message = "You don't have access to the model with the specified model ID."
            raise Fault("AccessDeniedException", message, 403)
        said = {"message": {"role": "assistant", "content": [{"text": "ok"}]}}
        usage = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
        rest = {"stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 9}}
        return Response(200, {"output": said, **rest})


def _reads(request: Request) -> bool:
    action = request.headers.get("x-amz-target", "").partition(".")[2]
    return action.startswith(("Describe", "Get")) or request.path.endswith("/converse")
