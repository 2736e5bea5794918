"""The gateway's HTTP faces: one for its own users, one for other gateways."""
