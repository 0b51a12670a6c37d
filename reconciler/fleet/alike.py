"""Foreign words without what differs from machine to machine, and without keys; pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from reconciler.shapes import looks_like

LEFT_OUT: Final = "[left out: it looks like a key]"

SHORTEST: Final = 20
"""Characters of the shortest key that its looks give away (AWS's)."""

_WORD: Final = re.compile(r"""[^\s"'`,;()=<>]+""")
_NUMBER: Final = re.compile(r"\bprocess [0-9]+")
_SINCE: Final = re.compile(r"\bsince [0-9]{2}:[0-9]{2}:[0-9]{2} UTC")
_PLACE: Final = re.compile(
    # OpenSSH's own words, as of 10.0: sshconnect.c, packet.c, clientloop.c
    r"(?P<before>\b(?:connect to host|closed by|reset by|disconnect from|resolve hostname"
    r"|Connection to|Connection timed out during banner exchange to) )"
    r"(?P<place>\S+ port [0-9]+|\S+?(?=: | |$))"
    r"|(?P<login>\S+@\S+?)(?=: Permission denied)"
)


def alike(text: str, user: str = "", host: str = "") -> str:
    """Return a reason in words that are the same for each machine of the same trouble.

    The user's home becomes ``~``, the machine's own name in front, a process's number and a time
    go. A word that looks like a key is left out.
    """
    if host and text.startswith(f"{host}: "):
        text = text[len(host) + 2 :]
    if user and user in text:
        home = rf"(?<![\w.~/-])(/home/|/Users/|[A-Za-z]:\\Users\\){re.escape(user)}(?![\w.-])"
        text = re.sub(home, "~", text)
    if "process" in text or "since" in text:
        text = _SINCE.sub("since …", _NUMBER.sub("process …", text))
    return keyless(text)


def unreached(text: str) -> tuple[str, str]:
    """Return what ssh said with ``…`` for the address that it said it of, and the address."""
    found = _PLACE.search(text)
    if found is None:
        return text, ""
    before = found["before"] or ""
    place = found["place"] or found["login"]
    return f"{text[: found.start()]}{before}…{text[found.end() :]}", place


@lru_cache(maxsize=4096)
def keyless(text: str) -> str:
    """Return a text without the words in it that look like keys."""
    if len(text) < SHORTEST or not looks_like(text):
        return text
    left = _WORD.sub(lambda word: LEFT_OUT if looks_like(word[0]) else word[0], text)
    return LEFT_OUT if looks_like(left) else left
