"""What an audit would cost on this machine."""
