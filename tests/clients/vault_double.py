"""A double of HashiCorp Vault: KV versions 1 and 2, AppRole, tokens with leases, namespaces.

It answers as Vault's API documentation says, as far as clients of KV ask; hvac, Vault's client
library for Python, is its judge (vault.py). It keeps everything in memory, and misbehaves when told
to by POST /control. Prints its port when it listens.

    vault_double.py [--cert FILE --key FILE] [--namespace NAME]
"""

import argparse
import json
import secrets
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT_TOKEN = "root-token-of-the-double"
ROLE_ID, SECRET_ID = "role-of-the-double", "secret-id-of-the-double"
MOUNTS = {"kv/": "2", "old/": "1"}


class State:
    def __init__(self, namespace):
        self.namespace = namespace
        self.lock = threading.Lock()
        self.old = {}  # path in `old/` -> fields
        self.new = {}  # path in `kv/` -> list of versions: (fields or None, deletion time)
        self.tokens = {ROOT_TOKEN: {"ends": None, "policies": ["root"], "renewable": False}}
        self.control = {"sealed": False, "token_ttl": 3600, "renewable": True, "failing": 0, "hang": 0}
        self.counts = {"login": 0, "renew": 0, "read": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def errors(self, status, *texts):
        self.answer(status, {"errors": list(texts)})

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length) or b"{}")

    def wrap(self, data, **more):
        return {"request_id": secrets.token_hex(8), "lease_id": "", "renewable": False,
                "lease_duration": 0, "data": data, "wrap_info": None, "warnings": None, "auth": None, **more}

    def handle_any(self):
        state = self.server.state
        body = self.body()
        with state.lock:
            path, _, query = self.path.partition("?")
            if path == "/control":
                state.control.update(body)
                if state.control.pop("revoke", False):
                    state.tokens = {ROOT_TOKEN: state.tokens[ROOT_TOKEN]}
                return self.answer(200, {"counts": state.counts})
            if state.control["hang"]:
                hang = state.control["hang"]
            else:
                hang = 0
            if state.control["failing"]:
                state.control["failing"] -= 1
                return self.errors(500, "internal error")
            if not path.startswith("/v1/"):
                return self.errors(404)
            if not hang:
                return self.route(state, path[4:], body)
        time.sleep(hang)
        self.errors(503, "too late")

    do_GET = do_POST = do_PUT = do_DELETE = do_LIST = handle_any

    def route(self, state, path, body):
        if path == "sys/health":
            sealed = state.control["sealed"]
            return self.answer(503 if sealed else 200, {"initialized": True, "sealed": sealed, "standby": False})
        if path == "sys/seal-status":
            return self.answer(200, {"sealed": state.control["sealed"], "type": "shamir"})
        if state.control["sealed"]:
            return self.errors(503, "Vault is sealed")
        if state.namespace and self.headers.get("X-Vault-Namespace", "").strip("/") != state.namespace:
            return self.errors(403, "permission denied")
        if path == "auth/approle/login" and self.command in ("POST", "PUT"):
            return self.login(state, body)
        token = self.headers.get("X-Vault-Token") or \
            self.headers.get("Authorization", "").removeprefix("Bearer ")
        held = state.tokens.get(token)
        if held is None or (held["ends"] is not None and held["ends"] <= time.time()):
            return self.errors(403, "permission denied", "invalid token")
        if path.startswith("auth/token/"):
            return self.token(state, path, token, held)
        if path.startswith("sys/internal/ui/mounts/"):
            return self.mount(held, path.removeprefix("sys/internal/ui/mounts/"))
        for mount, version in MOUNTS.items():
            if path.startswith(mount) or path + "/" == mount:
                if "root" not in held["policies"]:
                    readable = "forbidden" not in path and self.command in ("GET", "LIST")
                    if not readable:
                        return self.errors(403, "1 error occurred:\n\t* permission denied\n\n")
                rest = path[len(mount):]
                return self.kv2(state, rest, body) if version == "2" else self.kv1(state, rest, body)
        self.errors(404, f'no handler for route "{path}". route entry not found.')

    def login(self, state, body):
        state.counts["login"] += 1
        if (body.get("role_id"), body.get("secret_id")) != (ROLE_ID, SECRET_ID):
            return self.errors(400, "invalid role or secret ID")
        token, ttl = "hvs." + secrets.token_urlsafe(32), state.control["token_ttl"]
        renewable = state.control["renewable"]
        state.tokens[token] = {"ends": time.time() + ttl, "policies": ["default", "reader"], "renewable": renewable}
        auth = {"client_token": token, "accessor": "a", "policies": ["default", "reader"],
                "token_policies": ["default", "reader"], "lease_duration": ttl, "renewable": renewable,
                "metadata": {"role_name": "r"}, "entity_id": "e", "token_type": "service", "orphan": True}
        self.answer(200, self.wrap(None, auth=auth))

    def token(self, state, path, token, held):
        ttl = 0 if held["ends"] is None else max(0, int(held["ends"] - time.time()))
        if path == "auth/token/lookup-self" and self.command == "GET":
            data = {"id": token, "ttl": ttl, "renewable": held["renewable"], "policies": held["policies"],
                    "type": "service", "path": "auth/approle/login", "display_name": "approle"}
            return self.answer(200, self.wrap(data))
        if path == "auth/token/renew-self" and self.command in ("POST", "PUT"):
            state.counts["renew"] += 1
            if not held["renewable"]:
                return self.errors(400, "lease is not renewable")
            held["ends"] = time.time() + state.control["token_ttl"]
            auth = {"client_token": token, "lease_duration": state.control["token_ttl"], "renewable": True,
                    "policies": held["policies"], "token_policies": held["policies"]}
            return self.answer(200, self.wrap(None, auth=auth))
        if path == "auth/token/revoke-self":
            del state.tokens[token]
            return self.answer(204)
        self.errors(404)

    def mount(self, held, path):
        for mount, version in MOUNTS.items():
            if (path + "/").startswith(mount):
                options = {"version": "2"} if version == "2" else None
                return self.answer(200, self.wrap({"path": mount, "type": "kv", "options": options, "accessor": "kv_1"}))
        self.errors(403, f"preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\"")

    def listed(self, paths, prefix):
        prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        rest = [path[len(prefix):] for path in paths if path.startswith(prefix)]
        keys = sorted({part.split("/")[0] + ("/" if "/" in part else "") for part in rest})
        return self.answer(200, self.wrap({"keys": keys})) if keys else self.errors(404)

    def kv1(self, state, path, body):
        if self.command == "LIST" or self.path.endswith("?list=true"):
            return self.listed(state.old, path)
        if self.command in ("POST", "PUT"):
            state.old[path] = body
            return self.answer(204)
        if self.command == "DELETE":
            state.old.pop(path, None)
            return self.answer(204)
        state.counts["read"] += 1
        fields = state.old.get(path)
        return self.errors(404) if fields is None else self.answer(200, self.wrap(fields, lease_duration=2764800))

    def kv2(self, state, path, body):
        kind, _, path = path.partition("/")
        versions = state.new.get(path, [])
        if kind == "metadata" and (self.command == "LIST" or self.path.endswith("?list=true")):
            return self.listed(state.new, path)
        if kind != "data":
            # What Vault says to those who leave `data/` out.
            return self.answer(404, {"errors": [], "warnings": ["Invalid path for a versioned K/V secrets engine."]})
        now = "2026-11-24T18:00:00.000000000Z"
        metadata = {"created_time": now, "custom_metadata": None, "deletion_time": "", "destroyed": False,
                    "version": len(versions)}
        if self.command in ("POST", "PUT"):
            cas = body.get("options", {}).get("cas")
            if cas is not None and cas != len(versions):
                return self.errors(400, "check-and-set parameter did not match the current version")
            state.new[path] = versions + [(body["data"], "")]
            return self.answer(200, self.wrap({**metadata, "version": len(versions) + 1}))
        if self.command == "DELETE":
            if versions:
                versions[-1] = (versions[-1][0], now)
            return self.answer(204)
        state.counts["read"] += 1
        if not versions:
            return self.errors(404)
        fields, deleted = versions[-1]
        data = {"data": None if deleted else fields, "metadata": {**metadata, "deletion_time": deleted}}
        self.answer(404 if deleted else 200, self.wrap(data))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--namespace", default="")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.state = State(options.namespace)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    # It ends with whoever started it.
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
