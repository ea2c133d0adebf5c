"""``python -m tests.fuzzing.schema [--examples NUMBER]`` sends random requests to the API of a real server.

They are made by Schemathesis after ``docs/reference/openapi.yaml``: what fits the description, and what does not. Each
is signed as it leaves. The answer must be one of those the description names, in its form; it is never a 500, and
nothing is logged as a failure. The exit status is 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.auth import AuthBase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.requests import auth_parameters, signature
from tests.server import Server

DESCRIPTION = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"

PLAIN = {"/health", "/ready"}
"""Paths of the description that take nothing, so that nothing could be wrong with it."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Signed(AuthBase):  # type: ignore[misc, unused-ignore]  # typed where its stubs happen to be
    """Signs a request as it leaves."""

    def __call__(self, request: Any) -> Any:
        """Add the parameters of authentication to its query."""
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        path, _, query = request.path_url.partition("?")
        made_up = (pair for pair in query.split("&") if pair and not pair.startswith(("auth_", "body_md5")))
        query = "&".join(made_up)
        pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
        given_ones = tuple((unquote(name), unquote(value)) for name, value in pairs)
        ours = auth_parameters(content, timestamp=int(time.time()))
        signed = signature(request.method, unquote(path), (*given_ones, *ours))
        added = "&".join(f"{name}={value}" for name, value in (*ours, ("auth_signature", signed)))
        url, _, _ = request.url.partition("?")
        request.url = f"{url}?{query}&{added}" if query else f"{url}?{added}"
        return request


def send(server: Server, examples: int, seen: Counter[tuple[str, int]]) -> None:
    """Send so many requests for each operation, fitting ones and others.

    :param seen: counts the answers by operation and status.
    :raises Exception: an answer is not as described; with a command that sends the request again.
    """
    schema: Any = schemathesis.openapi.from_path(DESCRIPTION)
    where = f"http://127.0.0.1:{server.api_port}"
    session = requests.Session()
    session.trust_env = False
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.NEGATIVE and operation.path in PLAIN:
                continue

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                response = case.call(base_url=where, session=session, auth=Signed(), timeout=20)
                seen[f"{case.method} {case.path}", response.status_code] += 1
                case.validate_response(response, checks=CHECKS)

            ask()


def main(arguments: Sequence[str]) -> int:
    """Send requests; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing.schema", description="Random requests to the API.")
    parser.add_argument("--examples", type=int, default=500, help="for each operation, twice [%(default)s]")
    given_ones = parser.parse_args(arguments)
    seen: Counter[tuple[str, int]] = Counter()
    with Server() as server:
        send(server, given_ones.examples, seen)
        logged = server.log
    for (operation, status), times in sorted(seen.items()):
        sys.stdout.write(f"{operation}: {status} {times} times\n")
    if any(status == 401 for _, status in seen):
        sys.stdout.write("some requests were not let in, though all were signed\n")
        return 1
    if "Traceback" in logged:
        sys.stdout.write(f"the server logged a failure:\n{logged}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
