"""Asks every operation of an OpenAPI document with made-up values, as every role, by schemathesis.

    api_fuzz.py BASE_URL DOCUMENT ROLES

ROLES is a JSON file: {"roles": {"viewer": "TOKEN", "nobody": null, ...}, "share": 0.8,
"skip": ["operation_id", ...], "learn": ["id", ...]}.

Values follow the schemas half of the time and break them in the other half. Identifiers and tags
that answers showed are used again, so that what was made is read, changed and removed. Fails on a
5xx, on a status, media type, header or body that the document doesn't have, and when fewer than
`share` of the operations were ever answered 2xx. The last line is `N passed, M failed`.
"""

import json
import random
import sys
import uuid

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 30
# What an odd value in a path leads to is not this operation's answer.
ELSEWHERE = {"no_such_route", "method_not_allowed"}
# Makers first, so that there is something to read; removers last.
ORDER = {"post": 0, "put": 1, "patch": 1, "get": 2, "delete": 3}
SEED = 20261124


class Learned:
    """Values of answers by the name of their field, the newest last."""

    def __init__(self, names):
        self.names = set(names)
        self.values = {}
        self.tags = []
        self.random = random.Random(SEED)

    def read(self, response):
        if "etag" in response.headers:
            self.tags = [*self.tags, response.headers["etag"][0]][-20:]
        try:
            self.walk(json.loads(response.content or b"null"))
        except ValueError:
            pass

    def walk(self, value):
        if isinstance(value, list):
            for item in value:
                self.walk(item)
        elif isinstance(value, dict):
            for name, field in value.items():
                if name in self.names and isinstance(field, str):
                    self.values[name] = [*self.values.get(name, []), field][-20:]
                self.walk(field)

    def fill(self, case):
        for name in list(case.path_parameters or {}):
            known = self.values.get(name)
            if known and self.random.random() < 0.7:
                case.path_parameters[name] = self.random.choice(known)
        headers = {name.lower(): name for name in case.headers or {}}
        if "idempotency-key" in headers and self.random.random() < 0.7:
            case.headers[headers["idempotency-key"]] = str(uuid.UUID(int=self.random.getrandbits(128)))
        if "if-match" in headers and self.random.random() < 0.7:
            case.headers[headers["if-match"]] = self.random.choice([*self.tags, "*"])
        if "cursor" in (case.query or {}) and self.random.random() < 0.7:
            del case.query["cursor"]


def operations(schema):
    found = [result.ok() for result in schema.get_all_operations()]
    return sorted(found, key=lambda one: (ORDER.get(one.method, 4), one.path))


def ask(operation, mode, token, base_url, learned, reached):
    @settings(
        max_examples=EXAMPLES // 2,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def every(case):
        learned.fill(case)
        # The role's credentials, or none: made-up ones are the matrix's business.
        case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
        if token:
            case.headers["Authorization"] = f"Bearer {token}"
        response = case.call(base_url=base_url)
        if 200 <= response.status_code < 300:
            reached.add(operation.label)
            learned.read(response)
        elif "problem+json" in response.headers.get("content-type", [""])[0]:
            if json.loads(response.content or b"{}").get("code") in ELSEWHERE:
                return
        case.validate_response(response, checks=CHECKS)

    every()


def main(base_url, document, roles_file):
    with open(roles_file, encoding="utf-8") as file:
        plan = json.load(file)
    schema = schemathesis.openapi.from_path(document)
    skipped = set(plan.get("skip", []))
    listed = [one for one in operations(schema) if one.definition.raw.get("operationId") not in skipped]
    learned, reached = Learned(plan.get("learn", ["id"])), set()
    passed = failed = 0
    # Everybody makes before anybody removes.
    for operation in listed:
        for role, token in plan["roles"].items():
            for mode in GenerationMode:
                try:
                    ask(operation, mode, token, base_url, learned, reached)
                    passed += 1
                # Whatever schemathesis or Hypothesis raises is a finding; several come as a group.
                except (Exception, BaseExceptionGroup) as error:
                    if type(error).__name__ in ("Unsatisfiable", "SkipTest"):
                        continue
                    failed += 1
                    print(f"FAILED {role} {operation.label} ({mode.value}): {error}")
                    for inner in getattr(error, "exceptions", []):
                        print(f"    {type(inner).__name__}: {inner}")
    share = len(reached) / max(1, len(listed))
    missed = sorted(one.label for one in listed if one.label not in reached)
    print(f"{len(reached)} of {len(listed)} operations were answered 2xx; missed: {missed}")
    if share < plan.get("share", 0.8):
        print("FAILED: too few operations were reached")
        failed += 1
    else:
        passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
