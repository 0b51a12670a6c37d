"""AWS's services: where each one is, how requests are signed, and whose the credential is."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Client, Dialect, Setting, Sign, refusal
from reconciler.systems.bedrock.codes import classify, query, text

if TYPE_CHECKING:
    import httpx

Keys = Callable[[], Any]
"""Returns botocore's credentials, fresh: they may be temporary."""

EXTRA: Final = "signing needs botocore; install byok with its extra [aws]"
SIGNED: Final = ("host", "content-type", "x-amz-target")
MADE: Final = ("authorization", "x-amz-date", "x-amz-security-token")
BUDGETS: Final = "AWSBudgetServiceGateway"
COSTS: Final = "AWSInsightsIndexService"
READING: Final = frozenset(
    {
        f"{BUDGETS}.DescribeBudgets",
        f"{BUDGETS}.DescribeNotificationsForBudget",
        f"{BUDGETS}.DescribeSubscribersForNotification",
        f"{BUDGETS}.DescribeBudgetActionsForAccount",
        f"{COSTS}.GetCostAndUsage",
    }
)
"""The operations that AWS documents as reads and wants sent by POST."""

WHO: Final = {
    "sts": "AWS STS",
    "iam": "AWS IAM",
    "budgets": "AWS Budgets",
    "ce": "AWS Cost Explorer",
    "bedrock": "AWS Bedrock",
    "bedrock-runtime": "AWS Bedrock",
}


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of AWS with accounts of its own.

    ``only`` has host and signing region of the services that are in one place (botocore 1.44's
    endpoints). ``currency`` is what it bills in.
    """

    name: str
    suffix: str
    only: Mapping[str, tuple[str, str]]
    currency: str = "USD"


AWS: Final = Partition(
    "aws",
    "amazonaws.com",
    {
        "iam": ("iam.amazonaws.com", "us-east-1"),
        "budgets": ("budgets.amazonaws.com", "us-east-1"),
        "ce": ("ce.us-east-1.amazonaws.com", "us-east-1"),
    },
)
CHINA: Final = Partition(
    "aws-cn",
    "amazonaws.com.cn",
    {
        "iam": ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        "budgets": ("budgets.amazonaws.com.cn", "cn-northwest-1"),
        "ce": ("ce.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"),
    },
    "CNY",
)
GOVERNMENT: Final = Partition(
    "aws-us-gov", "amazonaws.com", {"iam": ("iam.us-gov.amazonaws.com", "us-gov-west-1")}
)


def partition(region: str) -> Partition:
    """Return the partition that a region is in."""
    if region.startswith("cn-"):
        return CHINA
    return GOVERNMENT if region.startswith("us-gov-") else AWS


def place(service: str, region: str) -> tuple[str, str]:
    """Return a service's own URL and the region that its requests are signed for."""
    part = partition(region)
    host, signed_for = part.only.get(service, (f"{service}.{region}.{part.suffix}", region))
    return f"https://{host}", signed_for


def root(setting: Setting, service: str) -> tuple[str, bool]:
    """Return the URL to use for a service, and whether it is Amazon's own."""
    base = setting.account().get("api_base")
    return (base, False) if base else (place(service, region(setting))[0], True)


def region(setting: Setting) -> str:
    """Return the manifest's region."""
    return setting.manifest.providers[setting.name].settings.get("region", "us-east-1")


def hard(setting: Setting) -> bool:
    """Tell whether the manifest has a hard budget for this account."""
    budgets = setting.manifest.budgets.values()
    return any(b.get("provider") == setting.name and b.get("enforce") == "hard" for b in budgets)


def dialect(setting: Setting, service: str) -> Dialect:
    """Return how a service speaks: IAM and STS in XML, the others in JSON."""
    stopped = service.startswith("bedrock") and hard(setting)
    xml = service in ("iam", "sts")
    accept: dict[str, str] = {"accept": "text/xml"} if xml else {}
    return Dialect(WHO[service], partial(classify, stopped=stopped), accept, READING, text=xml)


def installed() -> bool:
    """Tell whether requests can be signed here."""
    return find_spec("botocore") is not None


def held(key: Secret, secret: Secret, token: Secret | None) -> Keys:
    """Return an access key for signing; opened at each signature, kept nowhere."""

    def keys() -> Any:
        from botocore.credentials import Credentials  # type: ignore[import-untyped]

        told = None if token is None else token.expose()
        return Credentials(key.expose(), secret.expose(), told)

    return keys


def signing(keys: Keys, service: str, signed_for: str) -> Sign:
    """Sign requests with Signature Version 4, at the time they go out (AWS General Reference)."""

    def sign(request: httpx.Request) -> Mapping[str, str]:
        import logging

        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

        logging.getLogger("botocore").setLevel(logging.WARNING)  # else it logs session tokens
        chosen = {name: request.headers[name] for name in SIGNED if name in request.headers}
        made = AWSRequest(request.method, str(request.url), headers=chosen, data=request.content)
        SigV4Auth(keys(), service, signed_for).add_auth(made)
        return {name: made.headers[name] for name in MADE if name in made.headers}

    return sign


class Aws:
    """One credential's clients, one for each service, opened when first asked for."""

    def __init__(self, setting: Setting, keys: Keys, *, probe: tuple[str, ...] = ()) -> None:
        self.setting, self._keys, self._probe = setting, keys, probe
        self._guard = threading.Lock()
        self._clients: dict[str, Client] = {}

    def __getitem__(self, service: str) -> Client:
        """Return the client of a service: ``sts``, ``iam``, ``budgets``, ``ce``, ``bedrock`` …."""
        with self._guard:
            if service not in self._clients:
                self._clients[service] = self._connect(service)
            return self._clients[service]

    def _connect(self, service: str) -> Client:
        name = "bedrock" if service == "bedrock-runtime" else service
        return self.setting.door.connect(
            root(self.setting, service)[0],
            dialect(self.setting, service),
            signing(self._keys, name, place(service, region(self.setting))[1]),
            also=self._probe if service == "bedrock-runtime" else (),
        )

    def forget(self) -> None:
        """Read afresh from now on; who the credential is does not change."""
        for service, client in self._clients.items():
            if service != "sts":
                client.forget()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose a credential is: the account's number, and ``user/NAME``, ``role/NAME`` or ``root``."""

    account: str
    principal: str

    @property
    def user(self) -> str:
        """The IAM user's name; empty for a role or the root user."""
        kind, _, name = self.principal.partition("/")
        return name.rpartition("/")[2] if kind == "user" else ""


def caller(aws: Aws) -> Caller:
    """Ask STS whose the credential is; it needs no right, and says no to a dead key.

    Raises ProviderError: as any request, and where it is not the account that the manifest names.
    """
    found = query(aws["sts"], "sts", "GetCallerIdentity")
    account, arn = text(found, "Account"), text(found, "Arn")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise refusal("AWS STS", Problem.UNREADABLE)
    wanted = aws.setting.account().get("account_id")
    if wanted and wanted != account:
        raise refusal(
            "AWS STS",
            Problem.ELSEWHERE,
            f"says that the key belongs to account {account}, and account_id is {wanted}",
            "put a key of the declared account there, or correct account_id",
        )
    return Caller(account, _principal(arn.split(":", 5)[-1]))


def _principal(resource: str) -> str:
    """Shorten ``assumed-role/NAME/SESSION``: the session is another at each sign-in."""
    kind, _, rest = resource.partition("/")
    return f"role/{rest.partition('/')[0]}" if kind == "assumed-role" else resource
