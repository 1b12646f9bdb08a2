"""The command line, one module per topic: each command parses, calls and prints.

May import: every package. A command imports what it needs when it runs, so that `--help` and completion start fast.
"""
