"""Finding in the service's log what was done to the service."""
