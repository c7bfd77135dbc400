"""The `breeze` command: it reads the settings once, makes the clients, and starts each process."""
