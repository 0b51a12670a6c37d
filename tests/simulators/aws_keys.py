"""The keys of IAM's users, access keys and Bedrock API keys: two of each at most, shown once."""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.aws_wire import Fault, Principal, denied, fields

NAME = re.compile(r"[\w+=,.@-]{1,128}")
SERVICE = "bedrock.amazonaws.com"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
MOST = 2


class Keys:
    """The keys of all users. ``principals`` and ``api_keys`` are what the services accept.

    ``late`` is for how many requests the services do not know a key that was made. When a key was
    last used IAM tells hours later: of a new one, not in a test's time.
    """

    def __init__(
        self,
        account: str,
        region: str,
        page: int,
        principals: dict[str, Principal],
        api_keys: dict[str, str],
    ) -> None:
        self.account, self.region, self.page = account, region, page
        self.principals, self.api_keys = principals, api_keys
        self.users: dict[str, dict[str, Any]] = {}
        self.late = 0
        self.young: dict[str, int] = {}

    def operations(self) -> dict[str, Callable[[dict[str, str]], str | None]]:
        """Return what can be asked for here, by its name."""
        return {
            "ListAccessKeys": self._list_keys,
            "GetAccessKeyLastUsed": self._last_used,
            "CreateAccessKey": self._create_key,
            "UpdateAccessKey": self._update_key,
            "DeleteAccessKey": self._delete_key,
            "ListServiceSpecificCredentials": self._list_credentials,
            "CreateServiceSpecificCredential": self._create_credential,
            "UpdateServiceSpecificCredential": self._update_credential,
            "DeleteServiceSpecificCredential": self._delete_credential,
        }

    def add_key(self, user: str) -> dict[str, str]:
        """Make an access key as somebody else would; return its fields."""
        id_ = "AKIA" + "".join(secrets.choice(LETTERS) for _ in range(16))
        secret = b64encode(secrets.token_bytes(30)).decode()
        self.principals[id_] = Principal(secret, f"user/{user}", young=self.late)
        when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.users[user]["keys"].append((id_, "Active", when, ""))
        return {"AccessKeyId": id_, "SecretAccessKey": secret, "CreateDate": when}

    def add_credential(self, user: str, days: int | None = None) -> dict[str, str]:
        """Make a Bedrock API key as somebody else would; return all there is to know of it."""
        held, now = self.users[user]["credentials"], datetime.now(UTC)
        alias = f"BedrockAPIKey-{secrets.token_hex(2)}-at-{self.account}"
        secret = f"{alias}:{b64encode(secrets.token_bytes(48)).decode()}"
        made = {
            "id": "ACCA" + "".join(secrets.choice(LETTERS) for _ in range(17)),
            "alias": alias,
            "status": "Active",
            "made": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "ends": f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" if days else "",
            "value": "ABSK" + b64encode(secret.encode()).decode(),
        }
        self.api_keys[made["value"]], self.young[made["value"]] = alias, self.late
        held.append(made)
        return made

    def knows(self, api_key: str) -> bool:
        """Tell whether an API key is accepted, for one request."""
        young = self.young.get(api_key, 0)
        self.young[api_key] = max(young - 1, 0)
        return api_key in self.api_keys and young == 0

    def keys_shown(self) -> list[Any]:
        """Return all keys but for what only their owner knows."""
        made = [[*user["keys"]] for user in self.users.values()]
        more = [{k: v for k, v in c.items() if k != "value"} for u in self.users.values()
                for c in u["credentials"]]  # fmt: skip
        return [made, more]

    def _of(self, given: Mapping[str, str]) -> dict[str, Any]:
        name = given["UserName"]
        if not NAME.fullmatch(name):
            raise Fault("ValidationError", "UserName")
        if name not in self.users:
            raise Fault("NoSuchEntity", f"The user with name {name} cannot be found.", 404)
        return self.users[name]

    def _members(self, name: str, found: list[str], given: Mapping[str, str]) -> str:
        start = int(b64decode(given["Marker"]).decode()) if "Marker" in given else 0
        size = min(int(given.get("MaxItems", 100)), self.page)
        listed = "".join(f"<member>{one}</member>" for one in found[start : start + size])
        more = start + size < len(found)
        marker = b64encode(str(start + size).encode()).decode()
        told = f"<Marker>{marker}</Marker>" if more else ""
        return f"<IsTruncated>{str(more).lower()}</IsTruncated>{told}<{name}>{listed}</{name}>"

    def _list_keys(self, given: dict[str, str]) -> str:
        fields(given, "UserName", "Marker MaxItems")
        made = [
            f"<UserName>{given['UserName']}</UserName><AccessKeyId>{key}</AccessKeyId>"
            f"<Status>{status}</Status><CreateDate>{date}</CreateDate>"
            for key, status, date, _ in self._of(given)["keys"]
        ]
        return self._members("AccessKeyMetadata", made, given)

    def _last_used(self, given: dict[str, str]) -> str:
        fields(given, "AccessKeyId")
        for name, user in self.users.items():
            for key, _, _, used in user["keys"]:
                if key == given["AccessKeyId"]:
                    when = f"<LastUsedDate>{used}</LastUsedDate>" if used else ""
                    where = (
                        "<ServiceName>bedrock</ServiceName>"
                        if used
                        else "<ServiceName>N/A</ServiceName>"
                    )
                    region = self.region if used else "N/A"
                    return (
                        f"<UserName>{name}</UserName><AccessKeyLastUsed>{when}{where}"
                        f"<Region>{region}</Region></AccessKeyLastUsed>"
                    )
        raise denied("arn", "iam:GetAccessKeyLastUsed")

    def _create_key(self, given: dict[str, str]) -> str:
        fields(given, "UserName")
        if len(self._of(given)["keys"]) >= MOST:
            raise Fault("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409)
        made = self.add_key(given["UserName"])
        shown = "".join(f"<{name}>{value}</{name}>" for name, value in made.items())
        whose = f"<UserName>{given['UserName']}</UserName><Status>Active</Status>"
        return f"<AccessKey>{whose}{shown}</AccessKey>"

    def _key(self, given: dict[str, str]) -> int:
        """Return where a user's key stands in the list; what is not theirs is not there."""
        ids = [key[0] for key in self._of(given)["keys"]]
        id_ = given["AccessKeyId"]
        if not re.fullmatch(r"\w{16,128}", id_):
            raise Fault("ValidationError", "accessKeyId")
        if id_ not in ids:
            raise Fault("NoSuchEntity", f"The Access Key with id {id_} cannot be found.", 404)
        return ids.index(id_)

    def _update_key(self, given: dict[str, str]) -> None:
        fields(given, "UserName AccessKeyId Status")
        at, status = self._key(given), given["Status"]
        if status not in ("Active", "Inactive"):
            raise Fault("ValidationError", "status")
        held = self._of(given)["keys"]
        held[at] = (held[at][0], status, *held[at][2:])
        if held[at][0] in self.principals:
            self.principals[held[at][0]].active = status == "Active"

    def _delete_key(self, given: dict[str, str]) -> None:
        fields(given, "UserName AccessKeyId")
        gone = self._of(given)["keys"].pop(self._key(given))
        self.principals.pop(gone[0], None)

    def _list_credentials(self, given: dict[str, str]) -> str:
        fields(given, "UserName", "ServiceName Marker MaxItems AllUsers")
        made = [self._credential(given, each) for each in self._of(given)["credentials"]]
        return self._members("ServiceSpecificCredentials", made, given)

    @staticmethod
    def _credential(given: Mapping[str, str], each: Mapping[str, str]) -> str:
        ends = f"<ExpirationDate>{each['ends']}</ExpirationDate>" if each["ends"] else ""
        return (
            f"<UserName>{given['UserName']}</UserName><Status>{each['status']}</Status>"
            f"<ServiceCredentialAlias>{each['alias']}</ServiceCredentialAlias>"
            f"<CreateDate>{each['made']}</CreateDate>{ends}"
            f"<ServiceSpecificCredentialId>{each['id']}</ServiceSpecificCredentialId>"
            f"<ServiceName>{SERVICE}</ServiceName>"
        )

    def _create_credential(self, given: dict[str, str]) -> str:
        fields(given, "UserName ServiceName", "CredentialAgeDays")
        if given["ServiceName"] != SERVICE:
            raise Fault("NotSupportedService", "the service is not supported", 404)
        days = given.get("CredentialAgeDays")
        if days is not None and not (days.isdecimal() and 1 <= int(days) <= 36600):
            raise Fault("ValidationError", "credentialAgeDays")
        if len(self._of(given)["credentials"]) >= MOST:
            what = "Cannot exceed quota for ServiceSpecificCredentialsPerUser: 2"
            raise Fault("LimitExceeded", what, 409)
        made = self.add_credential(given["UserName"], int(days) if days else None)
        secret = f"<ServiceCredentialSecret>{made['value']}</ServiceCredentialSecret>"
        shown = self._credential(given, made)
        return f"<ServiceSpecificCredential>{shown}{secret}</ServiceSpecificCredential>"

    def _found(self, given: dict[str, str]) -> dict[str, str]:
        id_ = given["ServiceSpecificCredentialId"]
        for each in self._of(given)["credentials"]:
            if each["id"] == id_:
                found: dict[str, str] = each
                return found
        raise Fault("NoSuchEntity", f"No such credential {id_} exists", 404)

    def _update_credential(self, given: dict[str, str]) -> None:
        fields(given, "UserName ServiceSpecificCredentialId Status")
        found, status = self._found(given), given["Status"]
        if status not in ("Active", "Inactive"):
            raise Fault("ValidationError", "status")
        found["status"] = status
        if status == "Active":
            self.api_keys[found["value"]] = found["alias"]
        else:
            self.api_keys.pop(found["value"], None)

    def _delete_credential(self, given: dict[str, str]) -> None:
        fields(given, "UserName ServiceSpecificCredentialId")
        found = self._found(given)
        self._of(given)["credentials"].remove(found)
        self.api_keys.pop(found["value"], None)
