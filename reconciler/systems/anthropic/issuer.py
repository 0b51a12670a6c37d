"""Anthropic's keys: listed, told apart, tried and revoked; its API makes none (SDK 2.12.0)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import (
    Answer,
    Issuer,
    Listed,
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
from reconciler.systems.anthropic.console import (
    KEYS,
    Console,
    Item,
    admin_key,
    listed,
    open_console,
    workspaces,
)
from reconciler.systems.anthropic.survey import place
from reconciler.systems.anthropic.wire import ADMIN, INFERENCE, MODELS, WHO, base_of, sign

CONSOLE: Final = "https://platform.claude.com/settings/keys"
NONE_MADE: Final = "Anthropic's API makes no keys"
OVER: Final = ("archived", "expired")
"""The states that no key leaves."""


def issuer(setting: Setting) -> Issuer:
    """Open what lists and revokes the organisation's keys; asks Anthropic nothing.

    Raises SecretError or Unapproved for the admin key, ProviderError for one of the wrong kind.
    """
    key = admin_key(setting) if setting.judged else None
    how, attempt = "a person makes the key in Anthropic's Console", partial(_attempt, setting)
    if key is None:
        why = f"{NONE_MADE}; it lists none either: {_lacks(setting)}"
        return Issuer(how, attempt, by_hand=CONSOLE, why=why)
    console = open_console(setting, key)
    return Issuer(
        how,
        attempt,
        listed=partial(_listed, console),
        identify=partial(_identify, console),
        revoke=partial(_revoke, console),
        by_hand=CONSOLE,
        why=NONE_MADE,
        forget=console.forget,
    )


def _lacks(setting: Setting) -> str:
    if not setting.judged:
        return "the admin key is not used here"
    if "admin_key" in setting.account():
        return "none of the references in admin_key exists here"
    return "it has no admin_key"


def _attempt(setting: Setting, values: Values) -> Trial:
    """Ask for one model. Raises Unapproved where the key in use may not go there either."""
    base, own = base_of(setting)
    refs = setting.manifest.providers[setting.name].secrets.get("key", ())
    setting.admit(refs, base, own=own)
    return trial(lambda: _models(setting, base, values["key"]))


def _models(setting: Setting, base: str, secret: Secret) -> Answer:
    if secret.expose().startswith(ADMIN):
        raise refusal(WHO, Problem.WRONG_KIND, "was to be given an admin key: it was not sent")
    client = setting.door.connect(base, INFERENCE, sign(secret))
    return with_rows(client.get(MODELS, {"limit": 1}), "data")


def _rows(console: Console) -> list[Item]:
    return [each for each in listed(console.api, KEYS) if each.get("status") != "archived"]


def _listed(console: Console) -> tuple[Listed, ...]:
    spaces = {str(item["id"]): name for name, item in workspaces(console).items()}
    return tuple(_key(item, spaces) for item in _rows(console))


def _key(item: Item, spaces: dict[str, str]) -> Listed:
    ends = moment(item.get("expires_at"))
    return Listed(
        id=str(item.get("id")),
        name=str(item.get("name") or ""),
        made=moment(item.get("created_at")),
        owner=place(item, spaces),
        live=item.get("status") == "active" and (ends is None or ends > datetime.now(UTC)),
    )


def _identify(console: Console, values: Values) -> str:
    found = [str(item.get("id")) for item in _rows(console) if _hinted(values["key"], item)]
    return found[0] if len(found) == 1 else ""


def _hinted(secret: Secret, item: Item) -> bool:
    hint = item.get("partial_key_hint")
    return isinstance(hint, str) and ours_by_hint(secret, hint)


def _revoke(console: Console, id_: str) -> None:
    """Switch a key off, then archive it, which is final. A key that is not there is gone."""
    path = f"{KEYS}/{quote(with_id(WHO, id_), safe='')}"
    status = _status(console, path)
    if status == "active":
        console.api.send("POST", path, {"status": "inactive"}, again=True)
    if status not in OVER:
        console.api.send("POST", path, {"status": "archived"}, again=True)
    must_be_gone(WHO, lambda: _status(console, path) not in OVER, CONSOLE)


def _status(console: Console, path: str) -> str:
    """Read a key's state; archived where there is no such key."""
    console.forget()
    try:
        found: Any = console.api.get(path).at("status")
    except ProviderError as error:
        if error.kind is Problem.NOT_THERE:
            return OVER[0]
        raise
    if not isinstance(found, str):
        raise refusal(WHO, Problem.UNREADABLE)
    return found
