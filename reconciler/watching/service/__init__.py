"""Have the operating system make the rounds: rendered, installed on request, taken away."""
