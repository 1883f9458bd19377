"""Judges the table of token attacks by PyJWT, a library that others wrote.

    tokens.py TABLE

TABLE is what the tests of `platform::token` write with STREAMVERSE_TOKEN_TABLE. What they take has to
be taken here, and what is wrong with a signature, an algorithm, an issuer, an audience or a time has
to be refused here, too. Where ours is stricter (types, shapes, lives, duplicates), nothing is asked.
"""

import datetime
import json
import sys

import jwt
import jwt.api_jwt

with open(sys.argv[1]) as file:
    table = json.load(file)


class Then(datetime.datetime):
    """The table's own time."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(table["now"], tz)


jwt.api_jwt.datetime = Then
keys = {key["kid"]: jwt.PyJWK(key) for key in table["jwks"]["keys"]}
assert keys and all(key.algorithm_name == "RS256" for key in keys.values())


def accepts(token):
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=["RS256"], audience=table["audience"], issuer=table["issuer"],
                   leeway=table["leeway"], options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"]})
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError):
        return False
    return True


BOTH_REFUSE = {"algorithm", "signature", "unknown_key", "issuer", "audience", "expired", "not_yet"}
counts = {"taken by both": 0, "refused by both": 0, "stricter here": 0}
wrong = []
for row in table["rows"]:
    taken = accepts(row["token"])
    expected = row["expected"]
    if expected == "ok":
        counts["taken by both"] += taken
        wrong += [] if taken else [f"PyJWT refuses: {row['name']}"]
    elif not taken:
        counts["refused by both"] += 1
    elif expected in BOTH_REFUSE:
        wrong.append(f"PyJWT takes: {row['name']}")
    else:
        counts["stricter here"] += 1
        print(f"stricter than PyJWT: {row['name']} ({expected})")
print(", ".join(f"{count} {what}" for what, count in counts.items()))
assert not wrong, "\n".join(wrong)
assert counts["taken by both"] > 10 and counts["refused by both"] > 100
