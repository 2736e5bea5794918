"""The command line: ``isthmus``. Modules are imported where a command needs them, so that help and
completion answer at once."""
