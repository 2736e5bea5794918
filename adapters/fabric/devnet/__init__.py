"""A Fabric development network: three organisations, their peers' Gateway services, one ordering
service and one channel, in one process of Python."""
