"""The codes of what only the doctor finds, each with its title; docs/doctor.md says more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "BYOK200": "a check that failed itself",
        "BYOK201": "no Cursor",
        "BYOK202": "no settings database",
        "BYOK203": "a database that cannot be opened or written",
        "BYOK204": "a database that another program holds",
        "BYOK205": "a damaged database, or one of an unknown form",
        "BYOK206": "settings that are not JSON",
        "BYOK207": "no room on the disk",
        "BYOK208": "a database that Cursor replaced",
        "BYOK209": "an unfinished write of Cursor's",
        "BYOK210": "nobody can tell whether Cursor runs",
        "BYOK211": "a profile that byok must not write",
        "BYOK212": "encrypted keys that cannot be opened",
        "BYOK213": "Cursor is not as the manifest says",
        "BYOK220": "a state directory that cannot be used",
        "BYOK221": "a file of byok's that others may read or change",
        "BYOK222": "a ledger that cannot be read",
        "BYOK223": "a run that was ended in the middle",
        "BYOK224": "a rotation that is not finished",
        "BYOK225": "no usable fingerprint key",
        "BYOK230": "no sops, or the wrong one",
        "BYOK231": "another sops on PATH",
        "BYOK232": "no age identity",
        "BYOK233": "an age identity that others may read",
        "BYOK234": "a SOPS file that cannot be decrypted",
        "BYOK235": "recipients that are not those of .sops.yaml",
        "BYOK236": "a .sops.yaml that sops would not accept",
        "BYOK237": "a keyring that does not answer",
        "BYOK240": "a reference that names nothing",
        "BYOK241": "a store that gives nothing out",
        "BYOK242": "a value that cannot be a key",
        "BYOK250": "a proxy that does not work",
        "BYOK251": "certificates that cannot be read",
        "BYOK252": "Cursor's own network settings",
        "BYOK253": "a clock that is wrong",
        "BYOK260": "a host that has no address",
        "BYOK261": "a host that refuses the connection",
        "BYOK262": "a host that does not answer in time",
        "BYOK263": "a certificate that does not check out",
        "BYOK264": "something else answers there",
        "BYOK265": "slow answers",
        "BYOK270": "an account that cannot be judged",
        "BYOK271": "a budget that is nearly spent",
        "BYOK272": "a budget that is spent",
    }
)
"""Code to title. BYOK20x, 21x: Cursor. 22x: byok's state. 23x, 24x: secrets. 25x, 26x: network."""
