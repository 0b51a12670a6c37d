"""What forbids a plan to be applied: all of it at once, the loudest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler import planner, safety
from reconciler.errors import ByokError, ManifestError, SafetyStop, StalePlan, UsageError, loudest
from reconciler.model import Change, Plan
from reconciler.origins import Pairing
from reconciler.session import Session
from reconciler.spec import CURSOR
from reconciler.survey import Planned, unmatched


def touches_cursor(changes: Sequence[Change]) -> bool:
    """Tell whether any change is to Cursor's own settings."""
    return any(change.address.system == CURSOR for change in changes)


def refuse_unmatched(planned: Planned) -> None:
    """Raise UsageError for a target that names nothing, which would else look like success."""
    lost = unmatched(planned)
    if lost:
        raise UsageError(
            f"--target {lost[0]}",
            "names nothing that is wanted, there, or on record",
            "take an address from byok plan -v",
        )


def refuse(session: Session, planned: Planned, *, removing: bool) -> None:
    """Raise the loudest of all that forbids a plan, with the rest as its notes."""
    found = [
        *planned.failures,
        *_obstacles(session, planned),
        *_unapproved(session, planned),
    ]
    if not removing:
        found += [*_manifest_errors(session, planned), *_foreign_claims(planned)]
    try:
        refuse_unsafe(session, planned, removing=removing)
    except SafetyStop as stop:
        found.append(stop)
    if found:
        error = loudest(found)
        if isinstance(error, SafetyStop):
            error.plan = planned.plan
        raise error


def _obstacles(session: Session, planned: Planned) -> Iterator[ByokError]:
    """Yield what keeps Cursor from being written, unless it is to be waited for."""
    if touches_cursor(planned.plan.changes) and not session.options.wait:
        obstacle = session.obstacle()
        if obstacle is not None:
            yield obstacle


def _manifest_errors(session: Session, planned: Planned) -> Iterator[ByokError]:
    if planned.errors:
        yield ManifestError(session.manifest.file, planned.errors)


def _foreign_claims(planned: Planned) -> Iterator[ByokError]:
    if planned.held:
        address, owner = next(iter(planned.held.items()))
        yield SafetyStop(
            str(address),
            f"managed by team {owner}, and {len(planned.held)} such in all",
            "remove it from one of the two manifests, or give --take-over once",
        )


def refuse_unread(planned: Planned) -> None:
    """Raise SafetyStop for an account that was not read because nobody approved its origin."""
    if planned.strangers:
        raise _stranger(planned.strangers[0])


def _unapproved(session: Session, planned: Planned) -> Iterator[ByokError]:
    options = session.options
    for pair in planned.pairings:
        if pair.origin not in options.allow_origins and not options.interactive:
            yield _stranger(pair)


def _stranger(pair: Pairing) -> SafetyStop:
    return SafetyStop(
        pair.ref,
        f"would go to {pair.origin}, an origin nobody approved for it here",
        f"if that is right, give --allow-origin {pair.origin} once",
    )


def refuse_unsafe(session: Session, planned: Planned, *, removing: bool) -> None:
    """Raise SafetyStop, with the plan it stops, for the first safety rule that it breaks.

    ``removing``: the rule of many is not for what is taken back as a whole.
    """
    owned = {address for look in planned.looks for address in look.written}
    try:
        safety.check(
            planned.plan.changes,
            () if removing else owned,
            protect=session.manifest.policy.protect,
            allow_many=session.options.allow_many,
            allow_irreversible=session.options.allow_irreversible,
        )
    except SafetyStop as stop:
        stop.plan = planned.plan
        raise


def refuse_stale(saved: Plan, fresh: Plan) -> None:
    """Raise StalePlan where a saved plan no longer holds all of the fresh one, or another key."""
    if saved.fingerprint_key != fresh.fingerprint_key:
        raise StalePlan(
            "the saved plan",
            f"was made with fingerprint key {saved.fingerprint_key},"
            f" this machine has {fresh.fingerprint_key}",
            "plan again on this machine",
        )
    news = sorted(planner.moved(saved.changes, fresh.changes))
    if news:
        raise StalePlan(
            "the saved plan", f"no longer fits: {'; '.join(news)}", "plan again and review", news
        )
