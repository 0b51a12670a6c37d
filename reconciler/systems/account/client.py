"""One account's HTTP: it only reads, unless the run may write; no key follows a redirect."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from reconciler.errors import ByokError, ProviderError, ProviderProblem as Problem
from reconciler.origins import origin
from reconciler.systems.account.answers import Answer, Classify, by_status, refusal, refused

if TYPE_CHECKING:
    import httpx

Sign = Callable[["httpx.Request"], Mapping[str, str]]
"""Returns the headers that carry the credential for one request; asked for each anew."""

READS: Final = ("GET", "HEAD")
READING: Final = ("Get", "List", "Describe")
"""How the names of AWS's reading operations begin."""

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def _none(_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is particular to one provider's HTTP.

    ``who`` is its name in errors. ``classify`` reads the provider's own codes and returns None
    where they say nothing. ``headers`` pin versions. ``reading`` holds the POSTs that are
    documented to read only: paths (``/keys/list``), or values of ``X-Amz-Target``. ``text`` says
    that answers are no JSON: their bodies are handed over as text (AWS's query APIs: XML).
    """

    who: str
    classify: Classify = _none
    headers: Mapping[str, str] = field(default_factory=dict)
    reading: frozenset[str] = frozenset()
    text: bool = False

    def reads(self, method: str, path: str, target: str = "") -> bool:
        """Tell whether a request can change nothing; ``target`` is the operation that it names.

        AWS's query APIs take every action by GET, too: only its name tells what it does.
        """
        if method in READS:
            return not target or target in self.reading or target.startswith(READING)
        named = any(path.endswith(known) for known in self.reading if known.startswith("/"))
        return method == "POST" and (named or (target != "" and target in self.reading))

    def problem(self, answer: Answer) -> Problem | None:
        """Return what is wrong with an answer, by provider and code, then by status."""
        if answer.status // 100 == 2:  # noqa: PLR2004  the class of success (RFC 9110)
            return None
        return self.classify(answer) or by_status(answer)


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """One request below the base URL; never printed: a body may hold a secret."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the answer is remembered by."""
        parts = [self.method, self.path, self.params, self.body, dict(self.headers)]
        return json.dumps(parts, sort_keys=True, default=str)


class Client:
    """Talks to one base URL with one credential. Made by `door.Door.connect`.

    Reads are asked once and remembered until `forget`; they are retried with jitter, honouring
    ``Retry-After``. Writes are retried only where twice equals once.
    """

    def __init__(
        self, http: httpx.Client, base: str, dialect: Dialect, sign: Sign, *, write: bool
    ) -> None:
        self._http, self._base, self._dialect, self._sign = http, base.rstrip("/"), dialect, sign
        self._write = write
        self._guard = threading.Lock()
        self._memo: dict[str, Future[Answer]] = {}

    @property
    def who(self) -> str:
        """The provider's name in errors."""
        return self._dialect.who

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Return the answer to a GET below the base URL; an absolute URL must be of its origin.

        Raises ProviderError, its kind by provider and code.
        """
        return self._remembered(_Call("GET", path, params))

    def ask(
        self,
        path: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        remember: bool = True,
    ) -> Answer:
        """Return the answer to a POST that is documented to read only.

        With ``remember`` off neither question nor answer is kept: one of them is a secret.
        Raises ProviderError as `get`; ByokError where the dialect does not know it as a read.
        """
        self._must_read("POST", path, headers or {})
        call = _Call("POST", path, body=body, headers=headers or {})
        return self._remembered(call) if remember else self._exchange(call, again=True)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = False,
    ) -> Answer:
        """Return the answer to a request that changes something; forgets what was read.

        ``again`` says that sending it twice equals once: only then is it retried.
        Raises ProviderError as `get`; ByokError in a run that may not write.
        """
        if not self._write:
            self._must_read(method, path, headers or {})
        self.forget()
        try:
            return self._exchange(_Call(method, path, params, body, headers or {}), again=again)
        finally:
            self.forget()  # what another thread read meanwhile may be from before

    def forget(self) -> None:
        """Read afresh from now on."""
        with self._guard:
            self._memo.clear()

    def _must_read(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        if not self._dialect.reads(method, urlsplit(path).path, target_of(headers)):
            raise ByokError(self.who, f"{method} may change something, and this run only reads")

    def _remembered(self, call: _Call) -> Answer:
        key = call.key
        with self._guard:
            slot = self._memo.get(key)
            if mine := slot is None:
                slot = self._memo[key] = Future()
        if mine:
            try:
                slot.set_result(self._exchange(call, again=True))
            except BaseException as error:  # noqa: BLE001  whoever waits for this must hear of it
                slot.set_exception(error)
        return slot.result()

    def _exchange(self, call: _Call, *, again: bool) -> Answer:
        from reconciler.systems.account.transport import patiently

        url = self._url(call.path)

        def once() -> Answer:
            heard = self._heard(call, url)
            if isinstance(heard, ProviderError):
                raise heard  # here, because the error it stands for holds the URL and the key
            return heard

        answer = patiently(once, self._dialect.problem) if again else once()
        problem = self._dialect.problem(answer)
        if problem is not None:
            raise refused(self.who, problem, answer)
        return answer

    def _url(self, path: str) -> str:
        """Join a path to the base; a page or operation URL elsewhere is not followed."""
        if _ABSOLUTE.match(path) is None:
            return f"{self._base}/{path.lstrip('/')}"
        if not _same_origin(path, self._base):
            what = "points to another host; the key was not sent there"
            raise refusal(self.who, Problem.WRONG_ENDPOINT, what)
        return path

    def _heard(self, call: _Call, url: str) -> Answer | ProviderError:
        """Send one request and return what came of it; raises no error that holds what was sent."""
        import httpx

        from reconciler.systems.account.transport import drained, unheard

        given = {name: value for name, value in (call.params or {}).items() if value is not None}
        try:
            where = httpx.URL(url)
            request = self._http.build_request(
                call.method,
                where.copy_merge_params(given) if given else where,
                content=_content(call.body),
                headers={**_kind(call.body), **self._dialect.headers, **call.headers},
            )
            if not self._signed(request):
                what = "cannot be given this key: it has a character that no header can carry"
                return refusal(self.who, Problem.INVALID_KEY, what)
            response = self._http.send(request, stream=True)
            data = drained(self.who, response)
            return data if isinstance(data, ProviderError) else self._answer(response, data)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return unheard(self.who, error)
        except UnicodeEncodeError:
            what = "cannot be asked for a name with a character that no request can carry"
            return refusal(self.who, Problem.REJECTED, what)

    def _signed(self, request: httpx.Request) -> bool:
        """Put the credential on a request; tell whether headers can carry it."""
        try:
            credential = self._sign(request)
        except UnicodeEncodeError:
            return False
        fits = all(value.isascii() and value.isprintable() for value in credential.values())
        if fits:
            request.headers.update(credential)
        return fits

    def _answer(self, response: httpx.Response, data: bytes) -> Answer | ProviderError:
        """Take an error without JSON by its status; a success without JSON is somebody else's."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = (_text if self._dialect.text else _json)(data)
        if body is not NOT_JSON:
            return Answer(response.status_code, headers, body)
        if response.is_success:
            return refusal(self.who, Problem.UNREADABLE, "answered with a page that is not its own")
        return Answer(response.status_code, headers)


NOT_JSON: Final = object()


def _text(data: bytes) -> Any:
    page = data[:100].lstrip().lower().startswith((b"<!doctype html", b"<html"))
    return NOT_JSON if page else data.decode("utf-8", "replace")


def _json(data: bytes) -> Any:
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NOT_JSON


def _same_origin(url: str, base: str) -> bool:
    try:
        return origin(url) == origin(base)
    except ValueError:
        return False


def _content(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return json.dumps(body, separators=(",", ":")).encode()


def _kind(body: Any) -> dict[str, str]:
    if body is None or isinstance(body, bytes):
        return {"accept": "application/json"}
    return {"accept": "application/json", "content-type": "application/json"}


def target_of(headers: Mapping[str, str]) -> str:
    """Return the operation that AWS's JSON protocols name in a header."""
    return next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
