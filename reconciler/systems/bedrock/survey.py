"""What only the administrator sees: the user's keys, other policies, and this month's bill."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reconciler.errors import ByokError, ProviderError
from reconciler.secrets import Secret
from reconciler.systems.account import Setting, Sight
from reconciler.systems.account.findings import day
from reconciler.systems.account.keys import KeyFact, listed as told
from reconciler.systems.account.kinds import CLOSED
from reconciler.systems.account.spend import first_of_month, summed
from reconciler.systems.bedrock.codes import listed, query, text
from reconciler.systems.bedrock.costs import PRICE, bill
from reconciler.systems.bedrock.key import SERVICE, alias_of
from reconciler.systems.bedrock.policy import NAME
from reconciler.systems.bedrock.promises import SERVICES
from reconciler.systems.bedrock.stops import standing
from reconciler.systems.bedrock.wire import Aws

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SLOTS: Final = 2
SHOWN: Final = 4


def of_user(setting: Setting, aws: Aws, user: str) -> tuple[Callable[[], Sight], ...]:
    """Return the looks at one IAM user; each says by itself what it may not see."""
    return (
        lambda: _open(setting, "key", lambda: _access_keys(setting, aws, user)),
        lambda: _open(setting, "api-key", lambda: _api_keys(setting, aws, user)),
        lambda: _open(setting, "model-policy", lambda: _other_policies(setting, aws, user)),
    )


def _open(setting: Setting, kind: str, job: Callable[[], Sight]) -> Sight:
    """Say once, and not as a failure, what this credential may not see."""
    try:
        return job()
    except ProviderError as error:
        if error.kind not in CLOSED:
            raise
        return setting.saw(kind, "*", f"not listed: {error}")


def _access_keys(setting: Setting, aws: Aws, user: str) -> Sight:
    mine = _ordinary(setting, "access_key_id")
    found = list(listed(aws["iam"], "ListAccessKeys", "AccessKeyMetadata", UserName=user))
    sight = told(setting, [_fact(aws, key, mine) for key in found], pointer="access_key_id")
    if len(found) >= SLOTS:
        full = f"{user} has {SLOTS} access keys, the most there can be: rotating needs a free one"
        sight += setting.saw("key", user, full)
    return sight


def _fact(aws: Aws, key: Element, mine: Secret | None) -> KeyFact:
    name = text(key, "AccessKeyId")
    used = query(aws["iam"], "iam", "GetAccessKeyLastUsed", AccessKeyId=name)
    return KeyFact(
        name=f"access key …{name[-SHOWN:]}",
        made=day(text(key, "CreateDate")),
        last_used=day(text(used, "LastUsedDate")),
        status=text(key, "Status").lower(),
        ours=mine is not None and mine.expose() == name,
    )


def _api_keys(setting: Setting, aws: Aws, user: str) -> Sight:
    alias = alias_of(_ordinary(setting, "key"))
    keys = listed(
        aws["iam"],
        "ListServiceSpecificCredentials",
        "ServiceSpecificCredentials",
        UserName=user,
        ServiceName=SERVICE,
    )
    return told(setting, [_api_fact(key, alias) for key in keys], pointer="key")


def _api_fact(key: Element, alias: str) -> KeyFact:
    ends = day(text(key, "ExpirationDate"))
    until = f", expires on {ends.isoformat()}" if ends else ""
    name = text(key, "ServiceCredentialAlias") or text(key, "ServiceUserName")
    return KeyFact(
        name=f"Bedrock API key …{text(key, 'ServiceSpecificCredentialId')[-SHOWN:]}",
        made=day(text(key, "CreateDate")),
        status=f"{text(key, 'Status').lower()}{until}",
        ours=bool(alias) and name == alias,
    )


def _ordinary(setting: Setting, part: str) -> Secret | None:
    """Return a part of the ordinary key, to recognise it in a list; it is sent nowhere."""
    refs = setting.manifest.providers[setting.name].secrets.get(part, ())
    try:
        found = setting.credential(refs, "", own=True)
    except ByokError:
        return None
    return found.secret if found else None


def _other_policies(setting: Setting, aws: Aws, user: str) -> Sight:
    """Say that a list of allowed models is no fence while other policies allow more."""
    if "allow_models" not in setting.account():
        return Sight()
    inline = listed(aws["iam"], "ListUserPolicies", "PolicyNames", UserName=user)
    attached = listed(aws["iam"], "ListAttachedUserPolicies", "AttachedPolicies", UserName=user)
    others = sum(1 for found in inline if found.text != NAME) + sum(1 for _ in attached)
    if not others:
        return Sight()
    count = f"{others} other polic{'y' if others == 1 else 'ies'}"
    text = f"{user} has {count}: what they allow is allowed besides, and their denials count"
    return setting.saw("policies", user, text)


def limits(setting: Setting, aws: Aws) -> Sight:
    """Tell of hard limits that are reached; a closed kind is told of by itself."""
    try:
        return standing(setting, aws)
    except ProviderError as error:
        if error.kind not in CLOSED:
            raise
        return Sight()


def costs(setting: Setting, aws: Aws) -> Sight:
    """Tell this month's cost of Bedrock by the names on AWS's bill; each page asked costs money."""
    return _open(setting, "cost", lambda: _costs(setting, aws))


def _costs(setting: Setting, aws: Aws) -> Sight:
    found = bill(aws)
    paid = f"asking cost {PRICE}" + (f" a page, {found.pages} pages" if found.pages > 1 else "")
    text = f"{summed(found.lines)} so far, about a day late; {paid}"
    sight = setting.saw("cost", f"{first_of_month():%Y-%m}", text)
    named = {line.model for line in found.lines}
    uncounted = sorted(named - set(setting.account().get("budget_services", SERVICES)))
    if uncounted:
        parts = (
            (name, summed(line for line in found.lines if line.model == name))
            for name in uncounted[:5]
        )
        names = ", ".join(f"{name} ({part})" for name, part in parts)
        words = f"not counted by budgets: {names}; add them to budget_services"
        sight += setting.saw("cost", "elsewhere", words)
    return sight
