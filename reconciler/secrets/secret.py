"""The wrapper around a secret's text: no accident can show, compare, copy or store it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, final

if TYPE_CHECKING:
    from collections.abc import Callable

MASK: Final = "<secret>"


@final
class Secret:
    """A secret's text behind one door, `expose`.

    Every way of showing it gives ``<secret>``; every way of comparing, hashing, copying or
    serialising it raises TypeError. The text lives in a closure, so that tools which walk
    attributes find a function and no text. It guards against accidents, not against an attacker
    inside the process: expose inside the call that needs the text, never into a variable.
    """

    __slots__ = ("_text",)
    _text: Callable[[], str]

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", lambda: text)

    def expose(self) -> str:
        """Return the text: the single way out."""
        return self._text()

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a secret cannot be compared, counted, copied, stored or changed")

    def __setattr__(self, name: str, value: object) -> None:
        self._refuse()

    def __delattr__(self, name: str) -> None:
        self._refuse()

    __eq__ = __ne__ = __hash__ = __bool__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __copy__ = __deepcopy__ = __reduce__ = __getstate__ = _refuse

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self._refuse()
