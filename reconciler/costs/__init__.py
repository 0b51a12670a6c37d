"""What all accounts spent this month, what it comes to, and what a session costs."""

from reconciler.costs.asking import Told, ask
from reconciler.costs.estimate import Estimate, estimates, read_tokens
from reconciler.costs.forecast import Outlook, outlook
from reconciler.costs.measures import Measure, measures
from reconciler.costs.report import Report, report

__all__ = [
    "Estimate",
    "Measure",
    "Outlook",
    "Report",
    "Told",
    "ask",
    "estimates",
    "measures",
    "outlook",
    "read_tokens",
    "report",
]
