"""Everything of one person out: keys revoked, this machine cleared, what is left to do by hand."""

from reconciler.offboarding.files import OpenFile
from reconciler.offboarding.keys import Fate, Theirs
from reconciler.offboarding.parting import Parted, Parting, carry_out, parting

__all__ = ["Fate", "OpenFile", "Parted", "Parting", "Theirs", "carry_out", "parting"]
