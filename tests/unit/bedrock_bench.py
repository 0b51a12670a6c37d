"""What the tests of AWS's account share: one manifest in a folder, one simulated account."""

from __future__ import annotations

from reconciler.engine import apply_plan
from reconciler.model import Scope
from reconciler.session import reading, writing
from reconciler.survey import make_plan
from tests.simulators.bedrock import ADMIN, API_KEY, KEY
from tests.unit.accounts import options, write_manifest

SCOPE = Scope(("bedrock",))
ROLE = "arn:aws:iam::111122223333:role/byok-budget"
POLICY = "arn:aws:iam::111122223333:policy/DenyBedrock"
STOP = {"budget_role_arn": ROLE, "budget_policy_arn": POLICY}
RELEVANT = {f"BYOK{number}" for number in (116, *range(130, 141))}
TEAM = ["finops@acme.example"]


class Bench:
    """A manifest with an access key and an administrator; a field of None is left out."""

    def __init__(self, sim, folder, base):
        self.sim, self.folder, self.base = sim, folder, base
        self.write()

    def write(self, budgets=None, models=(), policy=None, *, admin=True, **fields):
        account = {
            "access_key_id": "file://keys/id",
            "secret_access_key": "file://keys/secret",
            "region": "us-east-1",
            "iam_user": self.sim.user,
            "api_base": self.base,
        }
        if admin:
            account["admin_access_key_id"] = "file://keys/admin-id"
            account["admin_secret_access_key"] = "file://keys/admin-secret"
        account = {name: v for name, v in {**account, **fields}.items() if v is not None}
        named = {n: {"provider": "bedrock", **b} for n, b in (budgets or {}).items()}
        declared = {name: {"provider": "bedrock"} for name in models}
        data = {"providers": {"bedrock": account}, "models": declared, "budgets": named}
        names = ("id", "secret", "admin-id", "admin-secret", "api")
        keys = dict(zip(names, (*KEY, *ADMIN, API_KEY), strict=True))
        write_manifest(self.folder, {**data, **({"policy": policy} if policy else {})}, keys)

    def key(self, name, text):
        path = self.folder / "keys" / name
        path.write_text(text)
        path.chmod(0o600)

    def options(self, **more):
        return options(self.folder, self.base, **more)

    def look(self, *, judged=False, **more):
        with reading(self.options(**more)) as session:
            return session.account("bedrock", judged=judged).actual()

    def plan(self, **more):
        with reading(self.options(**more)) as session:
            return make_plan(session, SCOPE).plan

    def apply(self, **more):
        chosen = self.options(**{"allow_irreversible": True, "allow_many": True, **more})
        with writing(chosen, "apply") as session:
            return apply_plan(session, SCOPE, lambda _: True)[1]

    def sent(self):
        """Return the operations the simulator was asked for."""
        named = [r.headers.get("x-amz-target", "").partition(".")[2] for r in self.sim.log]
        plain = [r.one("Action") or r.path for r in self.sim.log]
        return [target or other for target, other in zip(named, plain, strict=True)]


def said(seen):
    """Map each address to all that was observed there."""
    found = {}
    for one in seen.observations:
        found.setdefault(str(one.address).removeprefix("bedrock/"), []).append(one.text)
    return {address: "; ".join(texts) for address, texts in found.items()}


def codes(seen):
    return sorted(d.code for d in seen.diagnostics if d.code in RELEVANT)


def told(seen, code):
    """Return message and way out of the one finding with this code."""
    (found,) = [d for d in seen.diagnostics if d.code == code]
    return f"{found.message}; {found.way_out}"


def edits(plan):
    changes = [(str(c.address).removeprefix("bedrock/"), e) for c in plan.changes for e in c.edits]
    return {(address, e.name): (e.before, e.after) for address, e in changes}
