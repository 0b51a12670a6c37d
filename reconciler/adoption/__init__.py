"""Taking over what is there: a manifest of a Cursor profile, or a first one of few answers."""
