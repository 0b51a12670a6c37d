"""What was seen, in words for people: keys, models, limits, and the rows of the guide's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.systems.account.setting import Setting, Sight

CODES: Mapping[Problem | None, str] = {
    Problem.WRONG_KIND: "BYOK130",
    Problem.INVALID_KEY: "BYOK131",
    Problem.ELSEWHERE: "BYOK131",
    Problem.NO_ACCESS: "BYOK132",
    Problem.NO_MODEL: "BYOK132",
    Problem.SPENT: "BYOK134",
    Problem.RATE_LIMITED: "BYOK135",
    Problem.WRONG_ENDPOINT: "BYOK136",
    Problem.NOT_THERE: "BYOK136",
    Problem.NETWORK_REFUSED: "BYOK137",
    Problem.UNREADABLE: "BYOK137",
}
"""The row of the troubleshooting table a problem belongs to; all others are BYOK138."""

OTHER = "BYOK138"
SOON = 60
"""Days before its retirement from which a model is warned about."""


@dataclass(frozen=True, slots=True)
class ModelFact:
    """What a provider says of one model: when it is retired, and a remark worth reading.

    ``gone`` says whether it is retired, where the provider tells that apart from the date.
    """

    retires: date | None = None
    remark: str = ""
    gone: bool | None = None


def of_error(setting: Setting, error: ByokError, pointer: str = "key") -> Sight:
    """Turn a failed look into a finding at the key's place; what the user chose is only seen."""
    match error:
        case ProviderError():
            code = CODES.get(error.kind, OTHER)
            return setting.found(
                code, f"{error.where} {error.what}", error.way_out, pointer=pointer
            )
        case _:
            return not_probed(setting, str(error))


def not_probed(setting: Setting, reason: str) -> Sight:
    """Say that a key was not looked at, and why."""
    return setting.saw("key", setting.name, f"not probed: {reason}")


def models(setting: Setting, available: Mapping[str, ModelFact]) -> Sight:
    """Compare the declared models with what the key may use, by id."""
    sight = Sight()
    for entry in setting.models():
        fact = available.get(entry.id)
        pointer = f"/models/{escape(entry.id)}"
        if fact is None:
            sight += setting.found(
                "BYOK132",
                f"{entry.id} is not among the models this key may use at {setting.name}",
                "correct the id, or give the key access to the model",
                pointer=pointer,
            )
            continue
        remark = f"; {fact.remark}" if fact.remark else ""
        if not fact.gone:
            sight += setting.saw("model", entry.id, f"available to this key{remark}")
        sight += retirement(setting, entry.id, fact)
    return sight


def retirement(setting: Setting, name: str, fact: ModelFact) -> Sight:
    """Say when a declared model is retired; a finding from two months before."""
    today, when = datetime.now(UTC).date(), fact.retires
    past = when is not None and when <= today
    gone = past if fact.gone is None else fact.gone
    if not gone and (when is None or (when - today).days > SOON):
        text = "" if when is None else f"retires on {when.isoformat()}"
        return setting.saw("model", name, text) if text else Sight()
    verb = "was retired" if gone else "was to be retired" if past else "will be retired"
    return setting.found(
        "BYOK133",
        f"{name} {verb}" + (f" on {when.isoformat()}" if when else ""),
        "move to its successor",
        pointer=f"/models/{escape(name)}",
    )


def rate_limits(headers: Mapping[str, str], prefix: str = "x-ratelimit-") -> str:
    """Return what rate-limit headers say (OpenAI's and Azure's names), or an empty text."""
    parts = []
    for unit in ("requests", "tokens"):
        limit, left = headers.get(f"{prefix}limit-{unit}"), headers.get(f"{prefix}remaining-{unit}")
        if _count(limit) and _count(left):
            parts.append(f"{left} of {limit} {unit} left")
        elif _count(left):
            parts.append(f"{left} {unit} left")
    return ", ".join(parts)


def _count(text: str | None) -> bool:
    return text is not None and text.isdecimal()


def moment(value: object) -> datetime | None:
    """Read a moment from seconds since 1970 or an ISO text, UTC where it names no zone."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def day(value: object) -> date | None:
    """Read a day from seconds since 1970 or an ISO text; None where it is neither."""
    found = moment(value)
    return found.date() if found else None


def escape(name: str) -> str:
    """Write a name as one part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
