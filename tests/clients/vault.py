"""Judges the double of Vault by hvac, Vault's client library.

    vault.py VAULT_DOUBLE

Everything that the server asks of a Vault is asked here by a client that others wrote.
"""

import subprocess
import sys

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown

ROOT_TOKEN = "root-token-of-the-double"


def refused(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind:
        return
    raise AssertionError(f"{call} was not refused with {kind.__name__}")


def judge(address, namespace):
    root = hvac.Client(address, token=ROOT_TOKEN, namespace=namespace)
    assert root.is_authenticated() and not root.sys.is_sealed()
    two, one = root.secrets.kv.v2, root.secrets.kv.v1
    written = two.create_or_update_secret("app/s3", {"key": "first"}, mount_point="kv")
    assert written["data"]["version"] == 1
    two.create_or_update_secret("app/s3", {"key": "second"}, cas=1, mount_point="kv")
    refused(InvalidRequest, two.create_or_update_secret, "app/s3", {"key": "x"}, cas=1, mount_point="kv")
    read = two.read_secret_version("app/s3", mount_point="kv", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"key": "second"} and read["data"]["metadata"]["version"] == 2
    assert two.list_secrets("app", mount_point="kv")["data"]["keys"] == ["s3"]
    assert two.list_secrets("", mount_point="kv")["data"]["keys"] == ["app/"]
    two.patch("app/s3", {"more": "field"}, mount_point="kv")
    read = two.read_secret_version("app/s3", mount_point="kv", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"key": "second", "more": "field"}
    two.delete_latest_version_of_secret("app/s3", mount_point="kv")
    refused(InvalidPath, two.read_secret_version, "app/s3", mount_point="kv", raise_on_deleted_version=True)
    told = two.read_secret_version("app/s3", mount_point="kv", raise_on_deleted_version=False)
    assert told["data"]["data"] is None and told["data"]["metadata"]["deletion_time"]
    refused(InvalidPath, two.read_secret_version, "absent", mount_point="kv", raise_on_deleted_version=True)

    one.create_or_update_secret("db", {"password": "p"}, mount_point="old")
    assert one.read_secret("db", mount_point="old")["data"] == {"password": "p"}
    assert one.list_secrets("", mount_point="old")["data"]["keys"] == ["db"]
    one.delete_secret("db", mount_point="old")
    refused(InvalidPath, one.read_secret, "db", mount_point="old")

    role = hvac.Client(address, namespace=namespace)
    refused(InvalidRequest, role.auth.approle.login, "role-of-the-double", "wrong")
    auth = role.auth.approle.login("role-of-the-double", "secret-id-of-the-double")["auth"]
    assert auth["renewable"] and auth["lease_duration"] == 3600 and role.token == auth["client_token"]
    assert 3500 < role.auth.token.lookup_self()["data"]["ttl"] <= 3600
    assert role.auth.token.renew_self()["auth"]["lease_duration"] == 3600
    refused(Forbidden, role.secrets.kv.v2.create_or_update_secret, "x", {"a": "b"}, mount_point="kv")
    two.create_or_update_secret("forbidden", {"a": "b"}, mount_point="kv")
    refused(Forbidden, role.secrets.kv.v2.read_secret_version, "forbidden", mount_point="kv",
            raise_on_deleted_version=True)
    mounted = role.adapter.get("/v1/sys/internal/ui/mounts/kv/app/s3")
    assert mounted["data"]["path"] == "kv/" and mounted["data"]["options"]["version"] == "2"
    assert role.adapter.get("/v1/sys/internal/ui/mounts/old/db")["data"]["options"] is None
    role.auth.token.revoke_self()
    assert not role.is_authenticated()
    refused(Forbidden, hvac.Client(address, token="guessed", namespace=namespace).auth.token.lookup_self)
    if namespace:
        assert not hvac.Client(address, token=ROOT_TOKEN).is_authenticated()
    root.adapter.post("/control", json={"sealed": True})
    assert root.sys.is_sealed()
    refused(VaultDown, two.read_secret_version, "forbidden", mount_point="kv", raise_on_deleted_version=True)


for namespace in ["", "media"]:
    arguments = [sys.executable, sys.argv[1], "--namespace", namespace]
    double = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    judge(f"http://127.0.0.1:{double.stdout.readline().strip()}", namespace or None)
    double.stdin.close()
    double.wait(10)
print("hvac takes the double for a Vault")
