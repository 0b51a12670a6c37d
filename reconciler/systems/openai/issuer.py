"""OpenAI's keys, made as service accounts of the declared project, listed, tried and revoked.

Only a service account's key can be made by API (description of August 2026). Deleting the account
takes its keys along; since SDK 3.54 a key of one can also be deleted by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import (
    Answer,
    Credential,
    Issuer,
    Listed,
    Made,
    Order,
    Setting,
    Trial,
    Values,
    must_be_gone,
    refusal,
    trial,
    with_id,
    with_rows,
)
from reconciler.systems.account.findings import moment
from reconciler.systems.account.keys import ours_by_hint
from reconciler.systems.openai.admin import Admin, part, path_of
from reconciler.systems.openai.wire import (
    ADMIN_BEGINS,
    WHO,
    admin_key,
    base,
    begins,
    connect,
    connect_admin,
    own,
)

CONSOLE: Final = "https://platform.openai.com/settings/organization/api-keys"
OURS: Final = "byok-"
"""How the names of service accounts begin that byok made, each for one key."""

UNUSED: Final = "the admin key is not used here"
NO_ADMIN_KEY: Final = "it has no admin_key"
NOT_FOUND: Final = "none of the references in admin_key exists here"
NO_PROJECT: Final = "it names no project to make a key in"


def issuer(setting: Setting) -> Issuer:
    """Open what makes and revokes keys in the declared project; asks OpenAI nothing.

    Raises SecretError or Unapproved for the admin key, ProviderError where it is no admin key.
    """
    key = admin_key(setting) if setting.judged else None
    why = _lacks(setting, key)
    if why or key is None:
        how = "a person makes the key in OpenAI's console"
        return Issuer(how, partial(_attempt, setting), by_hand=CONSOLE, why=why)
    admin = Admin(setting, connect_admin(setting, key))
    return Issuer(
        how=f"makes a service account in project {admin.project}, with a key of all rights there",
        attempt=partial(_attempt, setting),
        listed=lambda: tuple(_listed(each) for each in _rows(admin)),
        identify=partial(_identify, admin),
        make=partial(_make, admin),
        orphans=lambda order: _orphans(admin, order.name),
        revoke=partial(_revoke, admin),
        by_hand=CONSOLE,
        forget=admin.client.forget,
    )


def _lacks(setting: Setting, key: Credential | None) -> str:
    given = setting.account()
    if not setting.judged:
        return UNUSED
    if key is None:
        return NOT_FOUND if "admin_key" in given else NO_ADMIN_KEY
    return "" if given.get("project") else NO_PROJECT


def _attempt(setting: Setting, values: Values) -> Trial:
    """Ask for the models. Raises Unapproved where the key in use may not go there either."""
    refs = setting.manifest.providers[setting.name].secrets.get("key", ())
    setting.admit(refs, base(setting), own=own(setting))
    return trial(lambda: _models(setting, values["key"]))


def _models(setting: Setting, secret: Secret) -> Answer:
    if begins(secret, (ADMIN_BEGINS,)):
        raise refusal(WHO, Problem.WRONG_KIND, "was to be given an admin key: it was not sent")
    return with_rows(connect(setting, Credential(secret, "", ""), ()).get("/models"), "data")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a key is revoked by, written ``ACCOUNT/KEY``, or ``KEY`` where a person owns it.

    The key is empty where a service account is there, and a key of it is not listed.
    """

    account: str
    key: str

    def __str__(self) -> str:
        return f"{self.account}/{self.key}" if self.account else self.key

    @classmethod
    def parse(cls, text: str) -> _Place:
        """Read what `str` wrote."""
        account, slash, key = text.rpartition("/")
        return cls(account, key) if slash else cls("", text)


def _path(admin: Admin, *parts: str) -> str:
    rest = "".join(f"/{quote(each, safe='')}" for each in parts)
    return path_of(admin, str(admin.project), rest)


def _rows(admin: Admin) -> list[Mapping[str, Any]]:
    """Return the project's keys; without the filter OpenAI hides those of owners who left."""
    return list(admin.entries(_path(admin, "api_keys"), owner_project_access="any"))


def _place(row: Mapping[str, Any]) -> _Place:
    return _Place(str(_account(row).get("id") or ""), str(row.get("id")))


def _account(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the service account that owns a key; nothing where a person does."""
    return part(part(row, "owner"), "service_account")


def _listed(row: Mapping[str, Any]) -> Listed:
    account, person = _account(row), part(part(row, "owner"), "user")
    ends = moment(row.get("expires_at"))
    return Listed(
        id=str(_place(row)),
        name=str(account.get("name") or row.get("name") or ""),
        made=moment(row.get("created_at")),
        last_used=moment(row.get("last_used_at")),
        owner="a service account" if account else str(person.get("email") or ""),
        live=row.get("owner_project_access") != "inactive"
        and (ends is None or ends > datetime.now(UTC)),
    )


def _identify(admin: Admin, values: Values) -> str:
    found = [
        str(_place(row))
        for row in _rows(admin)
        if ours_by_hint(values["key"], str(row.get("redacted_value") or ""))
    ]
    return found[0] if len(found) == 1 else ""


def _make(admin: Admin, order: Order) -> Made:
    """Make a service account of the ordered name, with one key."""
    if order.limit is not None:
        what = "has no limits for single keys, and one was ordered"
        raise refusal(admin.client.who, Problem.UNSUPPORTED, what, "limit the project instead")
    answer = admin.client.send("POST", _path(admin, "service_accounts"), {"name": order.name})
    account, key, value = (
        answer.at(*path) for path in (("id",), ("api_key", "id"), ("api_key", "value"))
    )
    if not all(isinstance(each, str) and each for each in (account, key, value)):
        what = "made a service account, and did not show its key"
        raise refusal(admin.client.who, Problem.UNREADABLE, what, f"look for {order.name} there")
    return Made(str(_Place(account, key)), {"key": Secret(value)})


def _orphans(admin: Admin, name: str) -> tuple[str, ...]:
    """Return the keys of service accounts of a name, and such accounts without a listed key."""
    admin.client.forget()
    keys: dict[str, list[str]] = {}
    for row in _rows(admin):
        keys.setdefault(_place(row).account, []).append(str(_place(row)))
    found = [each for each in _accounts(admin) if each.get("name") == name]
    ids = [str(each.get("id")) for each in found]
    return tuple(key for id_ in ids for key in keys.get(id_) or [str(_Place(id_, ""))])


def _accounts(admin: Admin) -> Iterator[Mapping[str, Any]]:
    return admin.entries(_path(admin, "service_accounts"))


def _revoke(admin: Admin, id_: str) -> None:
    """Delete a key: with its service account, where byok made that for it and no other key."""
    place = _Place.parse(with_id(admin.client.who, id_))
    admin.client.forget()
    if _made_for(admin, place):
        admin.take_away(_path(admin, "service_accounts", place.account))
    elif place.key:
        _delete(admin, place)
    must_be_gone(admin.client.who, partial(_there, admin, place), CONSOLE)


def _made_for(admin: Admin, place: _Place) -> bool:
    """Tell whether a service account is ours, and holds nothing but this key."""
    accounts = (each for each in _accounts(admin) if each.get("id") == place.account)
    account = next(accounts, None) if place.account else None
    if account is None or not str(account.get("name")).startswith(OURS):
        return False
    mates = [_place(row) for row in _rows(admin) if _place(row).account == place.account]
    return all(mate.key == place.key for mate in mates)


def _delete(admin: Admin, place: _Place) -> None:
    try:
        admin.take_away(_path(admin, "api_keys", place.key))
    except ProviderError as error:
        if error.kind is not Problem.REJECTED or not place.account:
            raise
        what = "does not delete a single key of a service account here, and byok did not make it"
        way_out = f"delete the key, or its service account, at {CONSOLE}"
        raise refusal(admin.client.who, Problem.UNSUPPORTED, what, way_out) from None


def _there(admin: Admin, place: _Place) -> bool:
    admin.client.forget()
    if not place.key:
        return any(each.get("id") == place.account for each in _accounts(admin))
    return any(_place(row) == place for row in _rows(admin))
