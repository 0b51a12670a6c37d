"""Put keys, which come on stdin, into this user's keyring, and read each back."""

import json
import sys

import keyring

changed = False
for entry in json.load(sys.stdin):
    place = entry["service"], entry["user"]
    try:
        if keyring.get_password(*place) != entry["value"]:
            keyring.set_password(*place, entry["value"])
            changed = True
        if keyring.get_password(*place) != entry["value"]:
            sys.exit("byok: the keyring did not keep what was put into it")
    except keyring.errors.KeyringError as error:
        sys.exit(
            f"byok: the keyring does not answer ({type(error).__name__}); unlock it, or log in there once"
        )
if changed:
    print("changed")
