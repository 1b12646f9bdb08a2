"""Settings: their sources, their parsers, and reloading them.

May import: errors, system, tree.
"""

from plotindex.config.parsers import OneOf
from plotindex.config.reload import INDEXER_SETTINGS, SERVER_SETTINGS, ServiceSettings, SettingsReloader
from plotindex.config.settings import (
    PARSERS,
    SECRETS,
    Polling,
    Settings,
    check_setting_names,
    default_text,
    load_settings,
    make_settings,
    parse,
)
from plotindex.config.sources import (
    RawSetting,
    config_file,
    from_environment,
    from_file,
    from_options,
    option_name,
    unknown_variables,
    variable_name,
    without_settings,
)

__all__ = [
    "INDEXER_SETTINGS",
    "PARSERS",
    "SECRETS",
    "SERVER_SETTINGS",
    "OneOf",
    "Polling",
    "RawSetting",
    "ServiceSettings",
    "Settings",
    "SettingsReloader",
    "check_setting_names",
    "config_file",
    "default_text",
    "from_environment",
    "from_file",
    "from_options",
    "load_settings",
    "make_settings",
    "option_name",
    "parse",
    "unknown_variables",
    "variable_name",
    "without_settings",
]
