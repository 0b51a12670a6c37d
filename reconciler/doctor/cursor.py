"""Is Cursor here, which one, does it run, where do its keys stand, and can byok open them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.doctor.finding import Finding, problem, skipped, warning, well
from reconciler.doctor.ground import Ground, Missing, plain
from reconciler.spec import PROVIDERS
from reconciler.systems.cursor import State as Answer, paths, running as ask_running
from reconciler.systems.cursor.findings import BYOK_OFF
from reconciler.systems.cursor.keysource import arguments, key_source
from reconciler.systems.cursor.safestorage import KeySource, Unreadable, prove, unseal
from reconciler.systems.cursor.slots import CELLS, SLOTS, Place, secret_era
from reconciler.systems.cursor.view import View

PRODUCT = ("resources", "app", "product.json")


def found(ground: Ground) -> Iterator[Finding]:
    """Look for Cursor's user-data directory, and whether byok may write there."""
    here = ground.user_data
    if not here.is_dir():
        env = ground.env
        tried = [str(here)]
        if not (ground.options.cursor_dir or env.get("BYOK_CURSOR_DIR")):
            tried = [
                str(path)
                for path in paths.candidates(env=env, platform=ground.platform, home=ground.home)
            ]
        yield problem(
            "cursor/found",
            "BYOK201",
            "there is no Cursor here",
            f"looked in {', '.join(tried)}",
            "start Cursor once and quit it, or name its user-data directory with --cursor-dir",
        )
        return
    reason = paths.forbidden(here, env=ground.env, platform=ground.platform)
    if reason:
        what = f"byok must not write to {here}"
        yield problem("cursor/found", "BYOK211", what, reason, "name another with --cursor-dir")
        return
    yield well("cursor/found", str(here))


def version(ground: Ground) -> Iterator[Finding]:
    """Read Cursor's version off its installation; nothing that byok does depends on it.

    (``product.json``: ``version``, and ``nameShort`` for whose it is; Cursor 2.3.41.)
    """
    if not ground.user_data.is_dir():
        yield skipped("cursor/version", "there is no Cursor here")
        return
    for path in installed(ground):
        told = arguments(path) if plain(path) else {}
        number = told.get("version")
        if str(told.get("nameShort", "")).startswith("Cursor") and isinstance(number, str):
            yield well("cursor/version", f"{number[:20]}, by {path}")
            return
    reason = "no installation is where they usually are (an AppImage keeps its version inside)"
    yield skipped("cursor/version", f"{reason}; byok goes by the rows it finds, not by a version")


def installed(ground: Ground) -> tuple[Path, ...]:
    """Return where an installation's ``product.json`` may be, by platform."""
    match ground.platform:
        case "darwin":
            folders = [Path("/Applications"), ground.home / "Applications"]
            return tuple(
                folder / f"{name}.app" / "Contents" / "Resources" / "app" / "product.json"
                for folder in folders
                for name in paths.NAMES
            )
        case "win32":
            local = Path(ground.env.get("LOCALAPPDATA", ground.home / "AppData" / "Local"))
            return (local.joinpath("Programs", "cursor", *PRODUCT),)
        case _:
            own = ("/usr/share/cursor", "/opt/Cursor", "/opt/cursor", "/usr/lib/cursor")
            return tuple(Path(folder).joinpath(*PRODUCT) for folder in own)


def running(ground: Ground) -> Iterator[Finding]:
    """Tell whether Cursor runs, and by what that is known."""
    answer = ask_running(
        ground.user_data,
        platform=ground.platform,
        runtime_dir=ground.env.get("XDG_RUNTIME_DIR", ""),
    )
    match answer.state:
        case Answer.NO:
            yield well("cursor/running", f"no ({answer.evidence})")
        case Answer.YES:
            what = f"yes ({answer.evidence}): apply refuses, or waits with --wait SECONDS"
            yield well("cursor/running", what)
        case _:
            yield warning(
                "cursor/running",
                "BYOK210",
                "nobody can tell whether Cursor runs",
                f"{answer.evidence}; byok then writes nothing",
                "quit Cursor; if it is not running, remove code.lock in its directory",
            )


def era(ground: Ground) -> Iterator[Finding]:
    """Tell in which form each provider's secret stands, by its row."""
    seen = ground.view
    if isinstance(seen, Missing):
        yield skipped("cursor/era", seen.reason)
        return
    places = {f"{slot.provider} {slot.name}": seen.held(slot).place for slot in SLOTS}
    there = [f"{name}: {place}" for name, place in places.items() if place is not Place.NOWHERE]
    kind = "keys are encrypted" if secret_era(seen.rows) else "no encrypted row yet"
    yield well("cursor/era", f"{kind}; {', '.join(there) or 'no key of any provider is set'}")
    waiting = [name for name, place in places.items() if place is Place.ROW]
    if waiting and secret_era(seen.rows):
        what = f"{', '.join(waiting)} in clear until Cursor's next start, which encrypts it"
        yield well("cursor/era", what)


def admin(ground: Ground) -> Iterator[Finding]:
    """Look whether the organisation's dashboard switched own keys off."""
    seen = ground.view
    if isinstance(seen, Missing):
        yield skipped("cursor/admin", seen.reason)
    elif seen.admin.get("byokDisabled") is True:
        yield problem(
            "cursor/admin",
            "BYOK115",
            "own keys are switched off",
            BYOK_OFF,
            "ask the admin to allow own keys in the dashboard, then start Cursor once",
        )
    else:
        yield well("cursor/admin", "the organisation's dashboard allows own keys")


def safe_storage(ground: Ground) -> Iterator[Finding]:
    """Prove our cipher on one of Cursor's own encrypted rows."""
    seen = ground.view
    if isinstance(seen, Missing):
        yield skipped("cursor/safe storage", seen.reason)
        return
    cells = [cell for key, cell in seen.rows.items() if key.startswith(CELLS)]
    if not cells:
        what = "nothing to open yet; a key is handed over in clear, and Cursor encrypts it"
        yield well("cursor/safe storage", what)
        return
    source = key_source(ground.user_data, platform=ground.platform, home=ground.home)
    cipher = prove(cells, source)
    if cipher is not None:
        yield well("cursor/safe storage", f"opened one of Cursor's own rows ({cipher.prefix})")
        return
    yield _sealed(seen, cells, source)


def _sealed(seen: View, cells: list[str], source: KeySource) -> Finding:
    reasons = dict.fromkeys(_reason(cell, source) for cell in cells)
    locked = any("locked" in reason or "keychain" in reason for reason in reasons)
    ours = [n for n in PROVIDERS if any(seen.held(s).cell for s in SLOTS if s.provider == n)]
    hidden = f"of {', '.join(ours)} " if ours else ""
    unlock = "unlock the keyring (sign in to the desktop), then run again"
    renew = "clear the key in Cursor's settings, quit Cursor, and apply again"
    return warning(
        "cursor/safe storage",
        "BYOK212",
        f"Cursor's encrypted rows {hidden}cannot be opened",
        "; ".join(reasons),
        unlock if locked else renew,
    )


def _reason(cell: str, source: KeySource) -> str:
    try:
        _, cipher = unseal(cell, source)
    except Unreadable as error:
        return error.reason
    if cipher.legacy:
        return "it opens with an empty password only, which Cursor reads and no longer writes"
    return "Cursor, as ~/.cursor/argv.json starts it, does not read such rows"
