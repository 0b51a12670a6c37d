"""A private session with the real GNOME Keyring: its bus, and two ways to start the keyring."""

from __future__ import annotations

from pathlib import Path

UNLOCKED = "printf '%s' test-pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
LOCKED = "gnome-keyring-daemon --start --components=secrets >/dev/null"


def plain_bus(folder: Path) -> Path:
    """Write a bus without service files: else it would start the machine's own keyring."""
    path = folder / "bus.conf"
    path.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/>'
        '<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>'
    )
    return path
