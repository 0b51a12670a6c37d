"""Where Cursor keeps what: rows and JSON leaves to canonical attributes and back; pure.

Names as read in Cursor's own code (2.3.41, and de-bundled modules of about 2.4 to 2.6) and
confirmed by tools that write the same rows (3.12 to 3.22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from reconciler.codec import nothing
from reconciler.errors import CursorBusy
from reconciler.model import Unknown, Value
from reconciler.systems.cursor.splice import Drop, Elements, Leaf, Path, Put, SpliceError, load

Document: TypeAlias = Mapping[str, Any]
Edits: TypeAlias = dict[Path, Leaf]

SETTINGS: Final = (
    "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl"
    ".persistentStorage.applicationUser"
)
"""The one row with all settings that are not secret, a JSON object."""

ADMIN: Final = "adminSettings.cached"
"""What the organisation's dashboard allows, a server cache; read only."""

FLAGS: Final[Mapping[str, Path]] = {
    "openai": ("useOpenAIKey",),
    "anthropic": ("useClaudeKey",),
    "google": ("useGoogleKey",),
    "azure": ("azureState", "useAzure"),
    "bedrock": ("bedrockState", "useBedrock"),
}
FIELDS: Final[Mapping[str, Mapping[str, Path]]] = {
    "openai": {"base_url": ("openAIBaseUrl",)},
    "anthropic": {},
    "google": {},
    "azure": {
        "endpoint": ("azureState", "baseUrl"),
        "deployment": ("azureState", "deployment"),
    },
    "bedrock": {"region": ("bedrockState", "region")},
}
ADDED: Final[Path] = ("aiSettings", "userAddedModels")
ENABLED: Final[Path] = ("aiSettings", "modelOverrideEnabled")
DISABLED: Final[Path] = ("aiSettings", "modelOverrideDisabled")
FEATURES_AT: Final[Path] = ("aiSettings", "modelConfig")
AUTO: Final = "default"
"""The model name by which Cursor chooses by itself; to us, nothing."""


def parse(text: str | None, row: str) -> dict[str, Any]:
    """Return a row's JSON object, {} for no row. Raises CursorBusy for anything else."""
    if text is None:
        return {}
    try:
        return load(text)
    except SpliceError:
        raise strange(f"its row {row} is not a JSON object") from None


def strange(detail: str) -> CursorBusy:
    """Return the error for content of an unknown form."""
    return CursorBusy(
        "Cursor's settings",
        f"they are in a form we do not know: {detail}",
        "start Cursor once and quit it, or check for a newer byok; nothing changed",
    )


def leaf(document: Document, path: Path) -> Any:
    """Return the JSON value at a path, None where there is none."""
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def canonical_url(provider: str, url: str) -> str:
    """Return a base URL in the one form that is compared and written.

    Azure as Cursor does it: https and a slash at the end. Others: no slash at the end.
    """
    url = url.strip()
    if provider != "azure" or not url:
        return url.rstrip("/")
    scheme, parted, rest = url.partition("://")
    host = rest if parted else scheme
    return f"https://{host.rstrip('/')}/"


def settings(document: Document, provider: str) -> dict[str, Value]:
    """Return a provider's attributes but for its secrets: ``enabled`` True and what is set."""
    found: dict[str, Value] = {"enabled": _flag(leaf(document, FLAGS[provider]))}
    for name, path in FIELDS[provider].items():
        found[name] = _text(provider, name, leaf(document, path))
    return {name: value for name, value in found.items() if not nothing(value)}


def _flag(value: object) -> Value:
    if value is None or isinstance(value, bool):
        return value or None
    return Unknown("it is neither true nor false")


def _text(provider: str, name: str, value: object) -> Value:
    if value is None or isinstance(value, str):
        text = value or ""
        url = name in ("base_url", "endpoint")
        return (canonical_url(provider, text) if url else text) or None
    return Unknown("it is not text")


def provider_edits(document: Document, provider: str, wished: Mapping[str, Value]) -> Edits:
    """Return the leaf edits that give a provider these attributes (secrets not among them)."""
    edits: Edits = {}
    for name, value in wished.items():
        if name == "enabled":
            path, leaf_edit = FLAGS[provider], _switch(document, FLAGS[provider], value)
        elif name == "base_url":
            # Cursor itself keeps null here (a migration at load), never the empty text.
            path, there = FIELDS[provider][name], "openAIBaseUrl" in document
            leaf_edit = Put(value) if value or there else Drop()
        else:
            path, leaf_edit = FIELDS[provider][name], Put(value) if value else Drop()
        edits[path] = leaf_edit
    return edits


def _switch(document: Document, path: Path, value: Value) -> Leaf:
    """On is true; off is false where a switch stands, and nothing where none does."""
    if value is True:
        return Put(value=True)
    return Drop() if leaf(document, path) is None else Put(value=False)


def models(document: Document) -> dict[str, dict[str, Value]]:
    """Return override and custom for every model id of Cursor's three lists.

    Where an id is both enabled and disabled, disabled counts: the picker filters it last (2.4).
    """
    added, enabled, disabled = (_ids(document, path) for path in (ADDED, ENABLED, DISABLED))
    on, off, own = set(enabled), set(disabled), set(added)
    found: dict[str, dict[str, Value]] = {}
    for name in dict.fromkeys([*added, *enabled, *disabled]):
        override = "disabled" if name in off else "enabled" if name in on else "none"
        found[name] = {"override": override} | ({"custom": True} if name in own else {})
    return found


def _ids(document: Document, path: Path) -> Sequence[str]:
    value = leaf(document, path)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise strange(f"{'.'.join(path)} is not a list")
    return [item for item in value if isinstance(item, str) and item]


def model_edits(name: str, wished: Mapping[str, Value]) -> Edits:
    """Return the list edits for one model; the enabled and disabled lists stay disjoint."""
    edits: Edits = {}
    if "custom" in wished:
        edits[ADDED] = _member(name, there=wished["custom"] is True)
    if "override" in wished:
        edits[ENABLED] = _member(name, there=wished["override"] == "enabled")
        edits[DISABLED] = _member(name, there=wished["override"] == "disabled")
    return edits


def _member(name: str, *, there: bool) -> Elements:
    return Elements(add=(name,)) if there else Elements(drop=frozenset({name}))


def defaults(document: Document) -> dict[str, dict[str, Value]]:
    """Return the default model of every feature that has one other than Auto."""
    features = leaf(document, FEATURES_AT)
    if features is not None and not isinstance(features, dict):
        raise strange(f"{'.'.join(FEATURES_AT)} is not an object")
    found = {name: default(document, name) for name in features or {} if name}
    return {name: {"model": value} for name, value in found.items() if not nothing(value)}


def default(document: Document, feature: str) -> Value:
    """Return one feature's default model: comma-separated text for several, None for Auto.

    With ``useModelParameters`` Cursor takes ``selectedModels`` instead of ``modelName`` (2.4 to
    2.6). Parameters chosen by a person there are not ours to lose: then the value is Unknown.
    """
    chosen = leaf(document, (*FEATURES_AT, feature, "selectedModels"))
    name = leaf(document, (*FEATURES_AT, feature, "modelName"))
    if document.get("useModelParameters") is True and chosen:
        name = _selected(chosen)
    if name is None or isinstance(name, str):
        return None if name in (None, "", AUTO) else name
    return name if isinstance(name, Unknown) else Unknown("it is not text")


def _selected(chosen: object) -> Value:
    entries = chosen if isinstance(chosen, list) else [None]
    names = [
        entry["modelId"]
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("modelId"), str)
        and not entry.get("parameters")
        and entry.keys() <= {"modelId", "parameters"}
    ]
    if len(names) < len(entries):
        return Unknown("it was chosen with parameters, which byok does not manage")
    return ",".join(names)


def default_edits(document: Document, feature: str, model: Value) -> Edits:
    """Return the leaf edits that make a model a feature's default; nothing means Auto."""
    there = leaf(document, (*FEATURES_AT, feature))
    if there is None and nothing(model):
        return {}
    name = AUTO if nothing(model) else str(model)
    at = (*FEATURES_AT, feature)
    edits: Edits = {(*at, "modelName"): Put(name)}
    if there is None:
        edits[(*at, "maxMode")] = Put(value=False)
    if document.get("useModelParameters") is True:
        listed = [{"modelId": part.strip(), "parameters": []} for part in name.split(",")]
        edits[(*at, "selectedModels")] = Put(listed)
    return edits
