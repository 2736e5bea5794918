"""What the gateway tells of itself: logs without secrets, and metrics."""
