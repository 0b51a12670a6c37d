"""byok: reconcile a team's Bring-Your-Own-Key set-up of the Cursor editor with a manifest."""

__version__ = "0.1.0"
