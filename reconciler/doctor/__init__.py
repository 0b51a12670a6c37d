"""What is wrong on this machine, in the order a person would look, each with cause and fix."""

from reconciler.doctor.finding import Finding, State
from reconciler.doctor.ground import Ground
from reconciler.doctor.rounds import examine

__all__ = ["Finding", "Ground", "State", "examine"]
