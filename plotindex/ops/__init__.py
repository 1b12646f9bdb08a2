"""What operators need: status, metrics, doctor, systemd units, backups and support bundles.

May import: every package but watch, web and cli. This file imports nothing, so that a command loads only the module
it needs: other packages import the modules by full path.
"""
