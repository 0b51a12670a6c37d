"""Many machines' results as one report: alike with alike, and nobody hidden by another."""

from reconciler.fleet.collect import Collected, collect
from reconciler.fleet.grouping import Report, report

__all__ = ["Collected", "Report", "collect", "report"]
