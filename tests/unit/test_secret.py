"""No door leaks: every way a secret could get out by accident."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback
from io import StringIO

import pytest
import yaml

from reconciler.secrets import Secret

CANARY = "canary-" + "7" * 20


@dataclasses.dataclass(frozen=True)
class Holder:
    name: str
    secret: Secret


@pytest.fixture
def secret():
    return Secret(CANARY)


def test_expose_is_the_way_out(secret):
    assert secret.expose() == CANARY


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        format,
        pprint.pformat,
        lambda s: f"{s}",
        lambda s: f"{s!r:>40}",
        lambda s: f"{s:>40}",
        lambda s: "%s" % s,  # noqa: UP031
        lambda s: "%r" % s,  # noqa: UP031
        lambda s: str([s]),
        lambda s: str({"a": s}),
        lambda s: repr(Holder("a", s)),
        lambda s: json.dumps({"a": s}, default=str),
        lambda s: json.dumps({"a": s}, default=repr),
        lambda s: repr([getattr(s, name) for name in dir(s) if name != "expose"]),
        lambda s: str(TypeError(s)),
        lambda s: "".join(traceback.format_exception(ValueError("x", s))),
    ],
)
def test_showing_gives_the_mask(secret, show):
    shown = show(secret)
    assert "<secret>" in shown or "function" in shown
    assert CANARY not in shown


def rich_text(secret):
    from rich.console import Console
    from rich.pretty import pretty_repr

    console = Console(file=StringIO(), width=200)
    console.print(secret, [secret], Holder("a", secret))
    console.print(pretty_repr(secret))
    return console.file.getvalue()


def inspected(secret):
    from rich import inspect
    from rich.console import Console

    console = Console(file=StringIO(), width=200)
    inspect(secret, console=console, all=True, value=True)
    return console.file.getvalue()


def deepdiff_text(secret):
    from deepdiff import DeepDiff

    found = DeepDiff({"a": secret}, {"a": Secret("other-" + CANARY)})
    try:
        return str(found) + found.to_json() + found.pretty() + str(found.to_dict())
    except TypeError as error:
        return str(error)


def local_variables(secret):
    from rich.console import Console
    from rich.traceback import Traceback

    console = Console(file=StringIO(), width=200)
    try:
        holder = Holder("a", secret)
        json.dumps(holder, default=vars)
    except Exception:
        console.print(Traceback(show_locals=True))
    return console.file.getvalue()


def captured(secret):
    try:
        raise ValueError(secret)  # noqa: TRY301
    except ValueError as error:
        found = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(found.format())


@pytest.mark.parametrize("show", [rich_text, inspected, deepdiff_text, local_variables, captured])
def test_tools_that_walk_objects_find_no_text(secret, show):
    assert CANARY not in show(secret)


def test_logging_is_safe(secret, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").warning("key %s %r", secret, secret)
        logging.getLogger("x").warning(secret)
    assert "<secret>" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "door",
    [
        json.dumps,
        lambda s: json.dumps(s, default=vars),
        lambda s: json.dumps(s, default=lambda o: o.__getstate__()),
        lambda s: json.dumps(dataclasses.asdict(Holder("a", s))),
        lambda s: dataclasses.astuple(Holder("a", s)),
        yaml.dump,
        yaml.safe_dump,
        lambda s: yaml.dump(Holder("a", s)),
        pickle.dumps,
        lambda s: pickle.dumps(s, protocol=0),
        lambda s: pickle.dumps(Holder("a", s)),
        copy.copy,
        copy.deepcopy,
        lambda s: copy.deepcopy({"a": s}),
        vars,
        hash,
        bool,
        len,
        iter,
        list,
        bytes,
        sorted,
        lambda s: s == s,  # noqa: PLR0124
        lambda s: s != CANARY,
        lambda s: CANARY == s,  # noqa: SIM300
        lambda s: s < s,  # noqa: PLR0124
        lambda s: s in (Secret(CANARY), CANARY),
        lambda s: "c" in s,
        lambda s: s + "x",
        lambda s: "x" + s,
        "".join,
        lambda s: {s: 1},
        lambda s: Holder("a", s) == Holder("a", Secret(CANARY)),
        lambda s: setattr(s, "_text", str),
        lambda s: setattr(s, "other", 1),
        lambda s: delattr(s, "_text"),
        lambda s: s.__reduce__(),
        lambda s: s.__getstate__(),
    ],
)
def test_refused(secret, door):
    with pytest.raises((TypeError, yaml.YAMLError)) as caught:
        door(secret)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_the_wrapper_has_no_dictionary(secret):
    assert not hasattr(secret, "__dict__")


def test_importing_the_package_is_cheap():
    import subprocess
    import sys

    code = "import sys, reconciler.secrets; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"keyring", "cryptography", "yaml", "json", "subprocess", "logging", "httpx"}
    assert not heavy & set(loaded.stdout.split())
