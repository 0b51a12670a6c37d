"""Where keys come from: references, stores, fingerprints, and the wrapper no key gets out of."""

from reconciler.secrets.secret import Secret

__all__ = ["Secret"]
