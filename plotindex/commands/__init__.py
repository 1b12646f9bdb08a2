"""The commands of `plotindex`, by topic: each parses, calls and prints."""
