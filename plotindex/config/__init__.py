"""Settings: their sources, their parsers, and reloading them.

May import: errors, system, tree.
"""

from plotindex.config.parsers import OneOf
from plotindex.config.reload import INDEXER, SERVER, Own, SettingsReloader
from plotindex.config.settings import (
    PARSERS,
    SECRETS,
    Polling,
    Settings,
    check_names,
    default_of,
    load_settings,
    make_settings,
    parse,
)
from plotindex.config.sources import (
    Given,
    file_of,
    from_environment,
    from_file,
    from_options,
    option_of,
    other_variables,
    unknown_variables,
    variable,
)

__all__ = [
    "INDEXER",
    "PARSERS",
    "SECRETS",
    "SERVER",
    "Given",
    "OneOf",
    "Own",
    "Polling",
    "Settings",
    "SettingsReloader",
    "check_names",
    "default_of",
    "file_of",
    "from_environment",
    "from_file",
    "from_options",
    "load_settings",
    "make_settings",
    "option_of",
    "other_variables",
    "parse",
    "unknown_variables",
    "variable",
]
