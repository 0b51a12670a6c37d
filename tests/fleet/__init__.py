"""A fleet on one machine: separate users over real sshd, or homes over local connections."""
