"""Six accounts and Cursor's own, side by side: the world of the demo and the CLI tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from reconciler.sandbox import Sandbox, make
from tests.simulators.anthropic import Anthropic, Bill as AnthropicBill
from tests.simulators.azure import Azure
from tests.simulators.bedrock import ADMIN, KEY, Bedrock
from tests.simulators.cursor_team import CursorTeam
from tests.simulators.endpoints import LiteLLM
from tests.simulators.google import Google
from tests.simulators.openai import Bill as OpenAIBill, OpenAI
from tests.simulators.server import Simulator, serving

GATEWAY_KEY, MASTER_KEY = "sk-" + "g4teWay" * 4, "sk-" + "m4sterKey" * 4
TEAM_KEY = "crsr_" + "b2" * 32


@dataclass
class World:
    """Seven simulators in one process, and the keys that open them."""

    openai: OpenAI = field(default_factory=OpenAI)
    anthropic: Anthropic = field(default_factory=Anthropic)
    google: Google = field(default_factory=Google)
    azure: Azure = field(default_factory=Azure)
    bedrock: Bedrock = field(default_factory=Bedrock)
    gateway: LiteLLM = field(default_factory=lambda: LiteLLM(GATEWAY_KEY, MASTER_KEY))
    team: CursorTeam = field(default_factory=lambda: CursorTeam(TEAM_KEY))
    base: str = ""

    @property
    def simulators(self) -> tuple[Simulator, ...]:
        return (
            *(self.openai, self.anthropic, self.google, self.azure),
            *(self.bedrock, self.gateway, self.team),
        )

    @property
    def keys(self) -> dict[str, dict[str, str]]:
        """What goes into the sandbox's encrypted file."""
        service_account = self.google.service_account(f"{self.base}/google")
        return {
            "openai": {"key": self.openai.key, "admin": self.openai.admin_key},
            "anthropic": {
                "key": next(iter(self.anthropic.values.values())),
                "admin": self.anthropic.admin_key,
            },
            "google": {"key": self.google.key, "admin": service_account.replace("\n", "")},
            "azure": {"key": self.azure.keys["key1"], "admin": self.azure.client_secret},
            "bedrock": {
                "access_key_id": KEY[0],
                "secret_access_key": KEY[1],
                "admin_id": ADMIN[0],
                "admin_secret": ADMIN[1],
            },
            "gateway": {"key": GATEWAY_KEY, "admin": MASTER_KEY},
            "cursor": {"admin": TEAM_KEY},
        }

    def sandbox(self, folder: Path) -> Sandbox:
        """Make a sandbox whose manifest and keys fit these accounts."""
        text = MANIFEST.replace("{base}", self.base)
        return make(folder, manifest=text, keys=self.keys, offline=False)

    def bill(self, day: date) -> None:
        """Let this month have cost something, from its first day to this one, in every account.

        Together: OpenAI 460 USD (of 500), Anthropic 90 (of 300), Azure 24 (of 200), Bedrock 12,
        the gateway 45 (of 50). It is the same sum on every day of the month.
        """
        first = day.replace(day=1)
        days = [first + timedelta(days=n) for n in range(day.day)]
        mine, other = (self._project(name) for name in ("cursor-byok", "research"))
        key, space = next(iter(self.anthropic.keys)), self._workspace("cursor-byok")
        if not any(team["team_alias"] == "cursor-byok" for team in self.gateway.teams):
            self.gateway.add_team("cursor-byok")
        for on in days:
            self.openai.bill += [
                OpenAIBill(on, mine, "gpt-4o-2024-08-06, input", 300 / day.day, "key_1", 1000),
                OpenAIBill(on, mine, "gpt-4o-2024-08-06, output", 160 / day.day, "key_1", 200),
                OpenAIBill(on, other, "o1-2024-12-17, output", 33 / day.day, "key_2", 50),
            ]
            cents = str(9000 / day.day)
            self.anthropic.bill.append(AnthropicBill(on, space, "claude-sonnet-4-5", cents, key))
            self.azure.bill.append((on, "gpt 4o 0806 Inp glbl Tokens", 24 / day.day))
            self.gateway.use(f"{on}", "cursor-byok", "cursor", "acme-coder", 45 / day.day, 1000)
            self.bedrock.money.bill.append((f"{on}", "Amazon Bedrock", str(12 / day.day)))

    def _project(self, name: str) -> str:
        there = {p["name"]: id_ for id_, p in self.openai.projects.items()}
        return there.get(name) or self.openai.make_project(name)

    def _workspace(self, name: str) -> str:
        there = {w["name"]: id_ for id_, w in self.anthropic.workspaces.items()}
        return there.get(name) or self.anthropic.add_workspace(name, byok="sandbox")


@contextmanager
def world(port: int = 0) -> Iterator[World]:
    """Serve a world on loopback."""
    made = World()
    with serving(made.simulators, port) as made.base:
        made.azure.account["properties"]["endpoint"] = f"{made.base}/azure/"
        yield made


MANIFEST = """\
# yaml-language-server: $schema=manifest.schema.json
# Cursor and the accounts behind its keys. The accounts here are simulators on this machine:
# that is what each api_base is for; without it, they are the real ones.
version: 1
team: sandbox

providers:
  openai:
    key: sops://secrets/team.enc.yaml#/openai/key
    admin_key: sops://secrets/team.enc.yaml#/openai/admin
    api_base: {base}/openai
    project: cursor-byok
    allow_models: [gpt-4o, o1]
    rate_limits:
      gpt-4o: { requests_per_minute: 300 }
  anthropic:
    key: sops://secrets/team.enc.yaml#/anthropic/key
    admin_key: sops://secrets/team.enc.yaml#/anthropic/admin
    api_base: {base}/anthropic
    workspace: cursor-byok
  google:
    key: sops://secrets/team.enc.yaml#/google/key
    admin_key: sops://secrets/team.enc.yaml#/google/admin
    api_base: {base}/google
    cloud_api_base: {base}/google/cloud
    cloud_project: acme-cursor
    billing_account: 012345-6789AB-CDEF01
  azure:
    enabled: false # the key is in place, the switch is off
    key: sops://secrets/team.enc.yaml#/azure/key
    endpoint: {base}/azure
    deployment: gpt-4o-prod
    api_version: "2024-10-21"
    admin_key: sops://secrets/team.enc.yaml#/azure/admin
    tenant: acme.onmicrosoft.com
    client_id: 11111111-2222-3333-4444-555555555555
    subscription: 00000000-1111-2222-3333-444444444444
    resource_group: acme-rg
    account: acme-openai
    api_base: {base}/azure
    login_base: {base}/azure
    deployments:
      gpt-4o-prod: { model: gpt-4o, version: "2024-08-06", capacity: 50 }
  bedrock:
    enabled: false
    region: us-east-1
    access_key_id: sops://secrets/team.enc.yaml#/bedrock/access_key_id
    secret_access_key: sops://secrets/team.enc.yaml#/bedrock/secret_access_key
    admin_access_key_id: sops://secrets/team.enc.yaml#/bedrock/admin_id
    admin_secret_access_key: sops://secrets/team.enc.yaml#/bedrock/admin_secret
    account_id: "111122223333"
    iam_user: byok-cursor
    allow_models: [amazon.nova-pro-v1:0]
    api_base: {base}/bedrock

endpoints:
  # Cursor has one override slot, shared with the OpenAI key: this one waits its turn
  gateway:
    type: litellm
    base_url: {base}/litellm/v1
    key: sops://secrets/team.enc.yaml#/gateway/key
    admin_key: sops://secrets/team.enc.yaml#/gateway/admin
    active: false
    team: { name: cursor-byok, allow_models: [acme-coder] }

cursor_team:
  admin_key: sops://secrets/team.enc.yaml#/cursor/admin
  api_base: {base}/cursor-team

models:
  gpt-4o: { provider: openai }
  o1: { provider: openai, enabled: false }
  claude-sonnet-4-5: { provider: anthropic, default_for: [composer] }
  gemini-2.5-pro: { provider: google }
  acme-coder: { endpoint: gateway, enabled: false }

budgets:
  openai:
    provider: openai
    monthly_usd: 500
    enforce: hard
    alert_at: [80]
    notify: [finops@acme.example]
  anthropic: { provider: anthropic, monthly_usd: 300, enforce: hard }
  google: { provider: google, monthly_usd: 100, alert_at: [80, 100] }
  azure: { provider: azure, monthly_usd: 200, alert_at: [80], notify: [finops@acme.example] }
  bedrock: { provider: bedrock, monthly_usd: 150, alert_at: [80], notify: [finops@acme.example] }
  gateway: { endpoint: gateway, monthly_usd: 50, enforce: hard }

policy:
  max_key_age_days: 90
  ignore: [BYOK103] # these addresses are on this machine on purpose
"""
