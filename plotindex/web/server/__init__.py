"""The HTTP service: Granian on one shared socket, graceful restarts, and systemd's watchdog."""
