"""What every provider's account is made of: the wire, the kinds of resource, and the words."""

from reconciler.systems.account.answers import Answer, caught, refusal
from reconciler.systems.account.client import Client, Dialect, Sign
from reconciler.systems.account.door import Door
from reconciler.systems.account.issuer import (
    Issuer,
    Listed,
    Made,
    Order,
    Trial,
    Values,
    must_be_gone,
    trial,
    with_id,
    with_rows,
)
from reconciler.systems.account.kind import Kind, Named
from reconciler.systems.account.kinds import Account, Unjudged
from reconciler.systems.account.setting import Credential, Setting, Sight, Unapproved
from reconciler.systems.account.spend import Line, Spend, Untold

__all__ = [
    "Account",
    "Answer",
    "Client",
    "Credential",
    "Dialect",
    "Door",
    "Issuer",
    "Kind",
    "Line",
    "Listed",
    "Made",
    "Named",
    "Order",
    "Setting",
    "Sight",
    "Sign",
    "Spend",
    "Trial",
    "Unapproved",
    "Unjudged",
    "Untold",
    "Values",
    "caught",
    "must_be_gone",
    "refusal",
    "trial",
    "with_id",
    "with_rows",
]
