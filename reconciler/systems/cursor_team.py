"""The team's account at Cursor itself: who uses own keys, which models it allows; read only."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem, few
from reconciler.spec import CURSOR_TEAM
from reconciler.systems.account import (
    Account,
    Client,
    Credential,
    Dialect,
    Issuer,
    Setting,
    Sight,
    Untold,
)
from reconciler.systems.account.findings import not_probed
from reconciler.systems.account.signing import basic

BASE: Final = "https://api.cursor.com"
DASHBOARD: Final = "https://cursor.com/dashboard"
DAYS: Final = 30
"""The longest span of one usage report (Cursor's Admin API, November 2026)."""

NAMED: Final = 20
DIALECT: Final = Dialect("Cursor's Admin API", reading=frozenset({"/teams/daily-usage-data"}))
ONLY_THERE: Final = (
    "the switches for own keys are in the dashboard only: Cursor's API neither reads nor sets them"
)


OWN_CYCLE: Final = Untold(
    "requests with own keys are paid to their providers; what Cursor itself bills goes by its own"
    " cycle and not by the month",
    "see the team's dashboard at cursor.com",
)


def account(setting: Setting) -> Account:
    """Open the account. It has no ordinary key, so nothing is seen of it without ``--accounts``.

    Raises SecretError or Unapproved for the admin key.
    """
    if not setting.judged:
        reason = "Cursor's Admin API is read with --accounts only"
        return Account(setting, lambda: not_probed(setting, reason), lambda: CURSOR_TEAM)
    given: Any = setting.manifest.cursor_team
    base = given.get("api_base", BASE)
    key = setting.credential(given.get("admin_key", ()), base, own="api_base" not in given)
    if key is None:
        reason = "none of the references in admin_key exists here"
        return Account(setting, lambda: not_probed(setting, reason), lambda: CURSOR_TEAM)
    client = setting.door.connect(base, DIALECT, basic(key.secret))
    return Account(
        setting,
        lambda: setting.saw("switches", "own-keys", ONLY_THERE),
        lambda: _identity(key),
        survey=(lambda: _usage(setting, client), lambda: _models(setting, client)),
        forget=client.forget,
    )


def issuer(_setting: Setting) -> Issuer:
    """Say where a person makes the Admin API's key, which is no key of Cursor's own settings."""
    how, why = "a person makes the key in the team's dashboard", "Cursor's API makes no keys"
    return Issuer(how, by_hand=DASHBOARD, why=why)


def spent(_setting: Setting, _day: date | None = None) -> Untold:
    """Say why there is no sum of the month: Cursor's API has one of its billing cycle only."""
    return OWN_CYCLE


def _identity(key: Credential) -> str:
    """Tell teams apart by their key: the API names no team."""
    return key.fingerprint


def _usage(setting: Setting, client: Client) -> Sight:
    """Tell who sent requests with an own key, from ``apiKeyReqs`` of the daily report."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    span = {
        "startDate": _milliseconds(today - timedelta(days=DAYS - 1)),
        "endDate": _milliseconds(today),
    }
    answer = client.ask("/teams/daily-usage-data", span)
    used: Counter[str] = Counter()
    for row in answer.at("data", default=[]):
        count = row.get("apiKeyReqs") if isinstance(row, dict) else None
        if isinstance(count, int) and count > 0:
            used[str(row.get("email", "someone"))] += count
    if not used:
        return setting.saw("usage", "own-keys", f"nobody used an own key in {DAYS} days")
    names = few([f"{email} ({count})" for email, count in used.most_common()], NAMED)
    return setting.saw("usage", "own-keys", f"requests in {DAYS} days by {names}")


def _models(setting: Setting, client: Client) -> Sight:
    """Tell which models the team allows, where the preview is enabled (Enterprise)."""
    try:
        answer = client.get("/teams/model-access/models")
    except ProviderError as error:
        if error.kind in (Problem.NO_ACCESS, Problem.NOT_THERE):
            return setting.saw("models", "allowed", "not offered to this team (Enterprise preview)")
        raise
    found = answer.at("models", default=answer.body)
    names = sorted({str(m.get("name") or m.get("id")) for m in found if isinstance(m, dict)})
    return setting.saw("models", "allowed", few(names, NAMED) or "none is named")


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
