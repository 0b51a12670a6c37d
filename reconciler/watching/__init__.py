"""Keep Cursor as it was applied: put back what somebody moved, report the rest, or have it done."""
