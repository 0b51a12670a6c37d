"""Add an age identity, which comes on stdin, to this user's file; what stands there stays."""

import os
import sys
import tempfile
from pathlib import Path

path = Path(sys.argv[1])
wanted = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
os.umask(0o077)
path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
text = path.read_text(encoding="utf-8") if path.exists() else ""
missing = [line for line in wanted if line not in text.splitlines()]
private = path.exists() and not path.stat().st_mode & 0o077
if missing or not private:
    whole = (
        text
        + ("" if text.endswith("\n") or not text else "\n")
        + "".join(f"{line}\n" for line in missing)
    )
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as draft:
        draft.write(whole)
    Path(draft.name).replace(path)
    print("changed")
