"""Settings: base holds what all environments share, the other modules what differs."""
