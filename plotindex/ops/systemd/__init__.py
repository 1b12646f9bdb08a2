"""systemd units for the indexer and the server, and whether other users can run this installation."""
