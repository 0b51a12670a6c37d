"""The keys of one IAM user, access keys or Bedrock API keys: listed, made, told apart, removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from reconciler.errors import ProviderError, ProviderProblem as Problem
from reconciler.secrets import Secret
from reconciler.systems.account import Listed, Made, Order, Values, must_be_gone, refusal, with_id
from reconciler.systems.account.findings import moment
from reconciler.systems.bedrock.codes import listed, order as tell, query, text, tree
from reconciler.systems.bedrock.key import SERVICE, alias_of
from reconciler.systems.bedrock.wire import WHO as NAMES, Aws

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

WHO: Final = NAMES["iam"]
SLOTS: Final = 2
"""Keys of one sort that a user can have (IAM quotas, November 2026; it cannot be raised)."""

SHOWN: Final = 4
EARLY, LATE = timedelta(minutes=5), timedelta(hours=1)
"""How long before and after its order a key may be dated: clocks differ, runs are killed."""

ID: Final = re.compile(r"\w{16,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of key, as IAM's operations and answers name it (botocore 1.44's model).

    ``values`` maps the attributes in Cursor to the fields of the one answer that shows them.
    ``tells_use``: IAM knows when a key was last used.
    """

    what: str
    noun: str
    rows: str
    id: str
    values: Mapping[str, str]
    only: Mapping[str, str] = field(default_factory=dict)
    tells_use: bool = False


ACCESS: Final = Sort(
    "access key",
    "AccessKey",
    "AccessKeyMetadata",
    "AccessKeyId",
    {"access_key_id": "AccessKeyId", "secret_access_key": "SecretAccessKey"},
    tells_use=True,
)
API: Final = Sort(
    "Bedrock API key",
    "ServiceSpecificCredential",
    "ServiceSpecificCredentials",
    "ServiceSpecificCredentialId",
    {"key": "ServiceCredentialSecret"},
    {"ServiceName": SERVICE},
)


@dataclass(frozen=True, slots=True)
class Keys:
    """One sort of key of one user; ``user`` asks whose, ``page`` is where a person sees them."""

    aws: Aws
    sort: Sort
    user: Callable[[], str]
    page: str

    def rows(self) -> list[Element]:
        """Return the keys as IAM lists them. Raises ProviderError."""
        action = f"List{self.sort.noun}s"
        fields = {"UserName": self.user(), **self.sort.only}
        return list(listed(self.aws["iam"], action, self.sort.rows, **fields))

    def afresh(self) -> list[Element]:
        """Return the keys as IAM lists them now."""
        self.aws.forget()
        return self.rows()

    def id(self, row: Element) -> str:
        """Return a key's id."""
        return text(row, self.sort.id)


def all_of(keys: Keys) -> tuple[Listed, ...]:
    """List the keys; of their ids, which are no secrets, names show the end alone."""
    return tuple(_listed(keys, row) for row in keys.rows())


def _listed(keys: Keys, row: Element) -> Listed:
    id_, ends = keys.id(row), moment(text(row, "ExpirationDate"))
    return Listed(
        id=id_,
        name=f"{keys.sort.what} …{id_[-SHOWN:]}",
        made=moment(text(row, "CreateDate")),
        last_used=_told_use(keys, id_)[0],
        owner=keys.user(),
        live=text(row, "Status") == "Active" and (ends is None or ends > datetime.now(UTC)),
    )


def _told_use(keys: Keys, id_: str) -> tuple[datetime | None, bool]:
    """Return when a key was last used, and whether that is known: it takes a right of its own."""
    if not keys.sort.tells_use:
        return None, False
    try:
        return _last_use(keys, id_), True
    except ProviderError as error:
        if error.kind is not Problem.NO_ACCESS:
            raise
        return None, False


def _last_use(keys: Keys, id_: str) -> datetime | None:
    used = query(keys.aws["iam"], "iam", "GetAccessKeyLastUsed", AccessKeyId=id_)
    return moment(text(used, "LastUsedDate"))


def identified(keys: Keys, values: Values) -> str:
    """Return the one listed key that values are of: by its id, or by the alias inside an API key.

    IAM shows no secret again, so the secret itself is not compared.
    """
    if not keys.sort.values.keys() <= values.keys():
        return ""
    found = [keys.id(row) for row in keys.rows() if _is_of(keys.sort, row, values)]
    return found[0] if len(found) == 1 else ""


def _is_of(sort: Sort, row: Element, values: Values) -> bool:
    if sort is ACCESS:
        return text(row, sort.id) == values["access_key_id"].expose()
    alias = alias_of(values["key"])
    known = text(row, "ServiceCredentialAlias") or text(row, "ServiceUserName")
    return alias != "" and alias == known


def made(keys: Keys, order: Order) -> Made:
    """Make a key, where the user has room for one. Raises ProviderError."""
    if order.limit is not None:
        raise refusal(WHO, Problem.UNSUPPORTED, "has no limit for a single key")
    there = keys.afresh()
    if len(there) >= SLOTS:
        raise _full(keys, there)
    fields = {"UserName": keys.user(), **keys.sort.only, **_lifetime(keys, there, order.old)}
    client = keys.aws["iam"]
    try:
        answer = tell(client, f"Create{keys.sort.noun}", **fields)
    except ProviderError as error:
        if error.kind is Problem.REJECTED and len(there := keys.afresh()) >= SLOTS:
            raise _full(keys, there) from None
        raise
    return _shown_once(keys, tree(client, answer))


def _shown_once(keys: Keys, root: Element) -> Made:
    found = {name: text(root, shown) for name, shown in keys.sort.values.items()}
    id_ = text(root, keys.sort.id)
    if not id_ or not all(found.values()):
        raise refusal(WHO, Problem.UNREADABLE)
    return Made(id_, {name: Secret(value) for name, value in found.items()})


def _lifetime(keys: Keys, there: list[Element], old: str) -> dict[str, str]:
    """Return the days that an API key is to last: as many as the one that it replaces."""
    row = next((each for each in there if old and keys.id(each) == old), None)
    begins = None if row is None else moment(text(row, "CreateDate"))
    ends = None if row is None else moment(text(row, "ExpirationDate"))
    if begins is None or ends is None:
        return {}
    return {"CredentialAgeDays": str(max(round((ends - begins) / timedelta(days=1)), 1))}


def _full(keys: Keys, there: list[Element]) -> ProviderError:
    """Say which two keys are in the way, and what tells which of them nobody needs."""
    told = " or ".join(_words(keys, row) for row in there)
    sort = keys.sort.what
    what = f"says that user {keys.user()} has two {sort}s already, the most there can be"
    return refusal(WHO, Problem.REJECTED, what, f"remove one of them at {keys.page}: {told}")


def _words(keys: Keys, row: Element) -> str:
    id_, begins = keys.id(row), moment(text(row, "CreateDate"))
    used, known = _told_use(keys, id_)
    parts = [
        text(row, "Status").lower(),
        f"made on {begins:%Y-%m-%d}" if begins else "",
        f"last used on {used:%Y-%m-%d}" if used else "never used" if known else "",
    ]
    return f"…{id_[-SHOWN:]} ({', '.join(part for part in parts if part)})"


def orphans(keys: Keys, order: Order) -> tuple[str, ...]:
    """Return the one key that an order can have made and nobody saw; nothing where one cannot tell.

    It was not there before, nobody ever used it, and its date is the order's. Of API keys IAM does
    not say whether one is used: none of them is ours for sure.
    """
    rows = keys.afresh()
    if order.since is None or not keys.sort.tells_use:
        return ()
    known = {*order.before, order.old}
    new = [keys.id(row) for row in rows if keys.id(row) not in known and _dated(row, order.since)]
    found = [id_ for id_ in new if _last_use(keys, id_) is None]
    return tuple(found) if len(new) == 1 else ()


def _dated(row: Element, since: datetime) -> bool:
    begins = moment(text(row, "CreateDate"))
    return begins is not None and since - EARLY <= begins <= since + LATE


def revoke(keys: Keys, id_: str) -> None:
    """Switch a key off, delete it, and read back that it is gone. Raises ProviderError."""
    if not ID.fullmatch(with_id(WHO, id_)):
        raise refusal(WHO, Problem.REJECTED, "has no key of such an id")
    noun, named = keys.sort.noun, {"UserName": keys.user(), keys.sort.id: id_}
    try:
        tell(keys.aws["iam"], f"Update{noun}", **named, Status="Inactive")
        tell(keys.aws["iam"], f"Delete{noun}", **named)
    except ProviderError as error:
        if error.kind is not Problem.NOT_THERE:
            raise  # what is gone already is done, if the list says so, too
    must_be_gone(WHO, lambda: id_ in map(keys.id, keys.afresh()), keys.page)
