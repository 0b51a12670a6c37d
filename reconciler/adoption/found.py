"""What a Cursor profile holds, in the manifest's words; and which key goes to which reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.adoption import presets
from reconciler.adoption.draft import Draft, Left, Part, Said, called
from reconciler.adoption.stores import Store
from reconciler.model import Unknown, Value
from reconciler.render.values import clean
from reconciler.secrets import Secret
from reconciler.shapes import looks_like
from reconciler.spec import FEATURES
from reconciler.systems.cursor import Holdings

HEAD: Final = (
    "What this machine's Cursor holds, written by `byok init --from-cursor`.",
    "As it stands, byok plan shows no changes. Change a line and plan again to see what it does.",
)
OWN_NAME: Final = "gateway"
"""What an endpoint is called that no preset knows."""

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": (),
    "google": (),
    "azure": ("endpoint", "deployment"),
    "bedrock": ("region",),
}
_SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "bedrock": ("access_key_id", "secret_access_key", "session_token"),
}
_VENDORS: Final = (
    ("openai", re.compile(r"(gpt|chatgpt|codex|o[0-9]+)(-|$)")),
    ("anthropic", re.compile(r"claude(-|$)")),
    ("google", re.compile(r"gemini(-|$)")),
    ("bedrock", re.compile(r"([a-z]{2,6}\.)?(anthropic|amazon|meta|mistral|deepseek|openai)\.")),
)
_LONGEST: Final = 256


@dataclass(slots=True)
class _Notes:
    """What is gathered on the way: keys by reference, and what is left out."""

    values: dict[str, Secret] = field(default_factory=dict, repr=False)
    left: list[Left] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        self.left.append(Left(what, why))


def drafted(found: Holdings, store: Store, team: str) -> tuple[Draft, dict[str, Secret]]:
    """Return a draft of what was found, and the key that belongs to each reference in it."""
    notes = _Notes()
    providers: dict[str, Part] = {}
    endpoints = dict(_endpoint(found, store, notes))
    if not endpoints:
        providers |= dict(_openai(found, store, notes))
    for name in _NEEDS:
        providers |= dict(_provider(name, found, store, notes))
    models = dict(_models(found, providers, endpoints, notes))
    _defaults(found, models, notes)
    sections = {"providers": providers, "endpoints": endpoints, "models": models}
    return Draft(team, HEAD, sections, left=tuple(notes.left)), notes.values


def _unread(found: Holdings, name: str, notes: _Notes) -> bool:
    """Tell whether a part of a provider cannot be read, and note it."""
    reasons = [why for (owner, _), why in found.unreadable.items() if owner == name]
    strange = [v.reason for v in found.settings[name].values() if isinstance(v, Unknown)]
    for why in (*reasons, *strange):
        notes.leave(f"provider {name}", why)
    return bool(reasons or strange)


def _endpoint(found: Holdings, store: Store, notes: _Notes) -> Iterator[tuple[str, Part]]:
    """Yield the endpoint that fills Cursor's OpenAI slot, if its base URL is overridden."""
    settings, key = found.settings["openai"], found.secrets.get(("openai", "key"))
    url = settings.get("base_url")
    if url is None or _unread(found, "openai", notes) or not isinstance(url, str):
        return
    preset = presets.recognised(url)
    name = preset.name if preset else OWN_NAME
    fields: dict[str, Said] = {"type": preset.type if preset else "custom", "base_url": url}
    if key is not None:
        fields["key"] = store.reference(name, "key")
        notes.values[store.reference(name, "key")] = key
    used = settings.get("enabled") is True and (key is not None or "openai" in found.keyless)
    remarks = [preset.title] if preset else []
    if not used:
        fields["active"] = False
        remarks.append(
            "Cursor holds this base URL and does not use it: its switch is off, or there is no key."
            " While active is false byok leaves it as it is."
        )
    yield name, Part(fields, tuple(remarks))


def _openai(found: Holdings, store: Store, notes: _Notes) -> Iterator[tuple[str, Part]]:
    if "openai" in found.keyless:
        notes.leave("provider openai", "what stands for its key is byok's placeholder for none")
    elif "base_url" not in found.settings["openai"]:
        yield from _provider("openai", found, store, notes)


def _provider(
    name: str, found: Holdings, store: Store, notes: _Notes
) -> Iterator[tuple[str, Part]]:
    """Yield a provider's part; what is half there cannot be said, and is noted."""
    if name in found.closed and name == "bedrock" and len(found.closed) == 1:
        notes.leave("provider bedrock", found.closed[name])
        return
    if _unread(found, name, notes):
        return
    fields: dict[str, Said] = {}
    keys = {n: found.secrets[name, n] for n in _parts(name) if (name, n) in found.secrets}
    settings = found.settings[name]
    if why := _lacking(name, keys, settings):
        if keys or settings:
            notes.leave(f"provider {name}", why)
        return
    for part, value in keys.items():
        fields[part] = store.reference(name, part)
        notes.values[store.reference(name, part)] = value
    fields |= {n: str(settings[n]).rstrip("/") for n in _NEEDS.get(name, ())}
    fields |= {"enabled": settings.get("enabled") is True}
    closed = found.closed.get(name)
    yield name, Part(fields, (f"Not changed while this holds: {closed}.",) if closed else ())


def _parts(name: str) -> tuple[str, ...]:
    return _SECRETS.get(name, ("key",))


def _lacking(name: str, keys: Mapping[str, Secret], settings: Mapping[str, Value]) -> str:
    """Say what is missing of a provider that a manifest must name; empty for nothing."""
    missing = [n for n in _parts(name) if n not in keys and n != "session_token"]
    missing += [n for n in _NEEDS.get(name, ()) if not settings.get(n)]
    return f"Cursor holds no {' and no '.join(missing)} of it" if missing else ""


def _models(
    found: Holdings,
    providers: Mapping[str, Part],
    endpoints: Mapping[str, Part],
    notes: _Notes,
) -> Iterator[tuple[str, Part]]:
    for name, attrs in found.models.items():
        override, own = attrs.get("override"), attrs.get("custom") is True
        taken = own and name in found.catalog
        answer = _answer(name, providers, endpoints, own=own and not taken)
        if why := _unsayable(name, override, answer):
            notes.leave(f"model {called(name)}", why)
            continue
        fields = dict(answer or {})
        if override == "disabled":
            fields["enabled"] = False
        remark = "Cursor's own list has this id too, so it is not called custom here."
        yield name, Part(fields, (remark,) if taken else ())


def _unsayable(name: str, override: Value, answer: Mapping[str, Said] | None) -> str:
    if looks_like(name):
        return "it looks like a key: take it out of Cursor's list of models, and revoke it"
    if not name.isprintable() or len(name) > _LONGEST:
        return "its name has characters that no manifest can hold, or too many"
    if override == "none":
        return "it is neither on nor off in Cursor"
    if answer is None:
        return "it is Cursor's own, or of a vendor whose keys Cursor does not take"
    return ""


def _answer(
    name: str, providers: Mapping[str, Part], endpoints: Mapping[str, Part], *, own: bool
) -> Mapping[str, Said] | None:
    """Return who answers a model: for built-in ids their vendor, else as Cursor routes them."""
    vendor = next((who for who, shape in _VENDORS if shape.match(name.lower())), None)
    if not own:
        return {"provider": vendor} if vendor in ("openai", "anthropic", "google") else None
    if vendor in ("anthropic", "google"):
        return {"provider": vendor, "custom": True}
    active = [n for n, part in endpoints.items() if "active" not in part.fields]
    if active:
        return {"endpoint": active[0]}
    takes_all = next((n for n in ("azure", "bedrock") if _on(providers.get(n))), None)
    if vendor == "bedrock" or takes_all:
        return {"provider": "bedrock" if vendor == "bedrock" else str(takes_all)}
    if endpoints:
        return {"endpoint": next(iter(endpoints))}
    return {"provider": "openai", "custom": True}


def _on(part: Part | None) -> bool:
    return part is not None and part.fields.get("enabled") is True


def _defaults(found: Holdings, models: dict[str, Part], notes: _Notes) -> None:
    """Say each default beside its model, or note why it cannot be said."""
    chosen: dict[str, list[str]] = {}
    for feature, attrs in found.defaults.items():
        value = attrs.get("model")
        if why := _no_default(feature, value, models):
            notes.leave(f"default of {clean(feature)}", why)
        else:
            chosen.setdefault(str(value), []).append(feature)
    for name, features in chosen.items():
        part = models[name]
        models[name] = Part({**part.fields, "default_for": tuple(features)}, part.remarks)


def _no_default(feature: str, value: Value, models: Mapping[str, Part]) -> str:
    if not isinstance(value, str):
        return value.reason if isinstance(value, Unknown) else "it is not one model"
    if feature not in FEATURES:
        return "a feature that this byok does not know"
    if "," in value:
        return "several models at once, which a manifest cannot say"
    if value not in models or models[value].fields.get("enabled") is False:
        return f"to name {called(value)} here would switch it on, and it is not switched on now"
    return ""
