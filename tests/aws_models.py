"""AWS's own service models, from botocore: what each request and each answer must look like."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.validate import ParamValidator

from tests.simulators.aws_wire import service_of
from tests.simulators.server import Request, Response

AVAILABLE = r"/foundation-model-availability/(?P<modelId>.+)"
REST = {
    r"/foundation-models": ("bedrock", "ListFoundationModels"),
    AVAILABLE: ("bedrock", "GetFoundationModelAvailability"),
    r"/inference-profiles": ("bedrock", "ListInferenceProfiles"),
    r"/model/(?P<modelId>.+)/converse": ("bedrock-runtime", "Converse"),
}
JSON = {"AWSBudgetServiceGateway": "budgets", "AWSInsightsIndexService": "ce"}
NOT_PYTHON = (r"\p{", "(?i).*<script>", ":-@")
"""Parts of Java's patterns that Python's re does not take."""


@functools.cache
def model(service: str) -> ServiceModel:
    """Return a service's model."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def check(answers: Iterable[tuple[Request, Response]]) -> int:
    """Hold requests and answers against AWS's models; return how many were checked.

    A refused request counts too, if it was refused for who sent it: raises AssertionError.
    """
    number = 0
    for request, response in answers:
        service, operation, given = asked(request)
        shape = model(service).operation_model(operation)
        faults = list(_faults(given, shape.input_shape))
        assert not faults, (operation, faults)
        if response.status == 200:
            faults = list(_faults(_answered(service, operation, response), shape.output_shape))
            assert not faults, (operation, faults)
        number += 1
    return number


def asked(request: Request) -> tuple[str, str, dict[str, Any]]:
    """Return service, operation and parameters of a request."""
    if target := request.headers.get("x-amz-target"):
        prefix, _, operation = target.partition(".")
        return JSON[prefix], operation, request.json
    for pattern, (service, operation) in REST.items():
        if found := re.fullmatch(pattern, request.path):
            return (
                service,
                operation,
                {**found.groupdict(), **_query(request), **(request.json or {})},
            )
    service = service_of(request)
    pairs = [(n, v[0]) for n, v in request.query.items()] + parse_qsl(request.body.decode())
    given = dict(pairs)
    operation = given.pop("Action")
    assert given.pop("Version") == model(service).api_version
    return service, operation, {n: _typed(service, operation, n, v) for n, v in given.items()}


def _typed(service: str, operation: str, name: str, value: str) -> str | int:
    """Return a field of a form as its model has it: there, all is text."""
    shape = model(service).operation_model(operation).input_shape
    member = shape.members.get(name) if shape else None
    return int(value) if member is not None and member.type_name == "integer" else value


def _query(request: Request) -> dict[str, Any]:
    return {n: int(v[0]) if v[0].isdecimal() else v[0] for n, v in request.query.items()}


def _answered(service: str, operation: str, response: Response) -> Any:
    """Return what botocore makes of an answer in XML; JSON as it is, unknown fields included."""
    if not isinstance(response.body, bytes):
        return response.body
    raw = {"status_code": 200, "headers": {}, "body": response.body}
    shape = model(service).operation_model(operation).output_shape
    found = create_parser("query").parse(raw, shape)
    found.pop("ResponseMetadata", None)
    return found


def _faults(given: Any, shape: Shape | None) -> Iterator[str]:
    if shape is None:
        if given:
            yield f"takes nothing, and was given {sorted(given)}"
        return
    report = ParamValidator().validate(given, shape)
    if report.has_errors():
        yield report.generate_report()
    yield from _finer(given, shape)


def _finer(given: Any, shape: Shape) -> Iterator[str]:
    """Yield what botocore leaves to the server: enumerations, patterns, greatest lengths."""
    match given:
        case dict() if shape.type_name == "structure":
            for name, value in given.items():
                if name in shape.members:
                    yield from _finer(value, shape.members[name])
        case dict() if shape.type_name == "map":
            for value in given.values():
                yield from _finer(value, shape.value)
        case list() if shape.type_name == "list":
            if len(given) > shape.metadata.get("max", len(given)):
                yield f"{shape.name}: too many"
            for value in given:
                yield from _finer(value, shape.member)
        case str() if shape.type_name == "string":
            yield from _of_text(given, shape)


def _of_text(given: str, shape: Shape) -> Iterator[str]:
    pattern = shape.metadata.get("pattern", "")
    known = getattr(shape, "enum", None)
    if known and given not in known and given != "INFERENCE_PROFILE":  # newer than the model
        yield f"{shape.name}: {given!r} is none of {known}"
    if len(given) > shape.metadata.get("max", len(given)):
        yield f"{shape.name}: too long"
    told = pattern and not any(part in pattern for part in NOT_PYTHON)
    if told and not re.search(pattern.replace(r"\u002F", "/"), given):
        yield f"{shape.name}: {given!r} does not fit {pattern}"
