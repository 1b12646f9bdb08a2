"""Checks of the users: the one that runs plotindex, and those that scripts run as."""

import os
import pwd
from collections.abc import Iterator
from shlex import quote

from plotindex.ops.doctor.context import Context
from plotindex.ops.doctor.findings import Finding, ok, warn
from plotindex.ops.doctor.permissions import Credentials
from plotindex.ops.doctor.state_exposure import exposure_findings, stat_folder
from plotindex.system import user_name


def check_user(context: Context) -> Iterator[Finding]:
    """Check that this user's limits and permissions are those of plotindex."""
    mine, theirs = user_name(os.geteuid()), user_name(context.user)
    if os.geteuid() == context.user:
        yield ok("user", f"Running as {mine}, the user that runs plotindex")
        return
    # sudo(8) takes a number after `#`.
    name = quote(theirs if not theirs.startswith("user ") else f"#{context.user}")
    seen = f"Running as {mine}, but plotindex runs as {theirs}: the checks of read access are for the wrong user"
    yield warn("user", seen, f"`sudo -u {name} {context.command}`")


def check_scripts(context: Context) -> Iterator[Finding]:
    """Check that the users that scripts run as, the owners of sessions, can neither read nor write the state."""
    owners = context.survey.owners
    if context.user in owners:
        yield warn(
            "scripts",
            f"Scripts run as {user_name(context.user)}, like plotindex: they can read its keys and forge cookies",
            "run plotindex as a user of its own: `plotindex service install`, see docs/security.md",
        )
    users = {user: groups for user, groups in owners.items() if user not in (0, context.user)}
    state, database = context.settings.state_folder, context.catalog.database.file
    if not users:
        if not owners:
            yield ok("scripts", "No session yet shows which users scripts run as")
        elif context.user not in owners:
            yield ok("scripts", "Every session belongs to root, who can read everything")
        return
    if not state.exists():
        yield ok("scripts", "There is no state yet that a script could read")
        return
    folders = [stat_folder(state)]
    if database and database.parent != state and database.exists():
        folders.append(stat_folder(database.parent, [database.name]))
    safe = []
    for user, groups in sorted(users.items()):
        who, credentials = f"Scripts run as {user_name(user)}, who", Credentials(user, _groups_of(user, groups))
        # Two folders may share parents.
        found = dict.fromkeys(f for folder in folders for f in exposure_findings("scripts", folder, who, credentials))
        yield from found
        if not found:
            safe.append(user_name(user))
    if safe:
        yield ok("scripts", f"Scripts run as {', '.join(safe)}: they can neither read nor replace plotindex's state")


def _groups_of(user: int, seen: set[int]) -> frozenset[int]:
    """The groups of a user; for a user without an account, those of its folders."""
    try:
        account = pwd.getpwuid(user)
    except KeyError:
        return frozenset(seen)
    return frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
