"""Settings: their sources, their parsers, and reloading them.

May import: errors, system, tree.
"""

from plotindex.config.loader import check_setting_names, load_settings, make_settings, parse_setting
from plotindex.config.parsers import OneOf
from plotindex.config.reload import INDEXER_SETTINGS, SERVER_SETTINGS, ServiceSettings, SettingsReloader
from plotindex.config.settings import PARSERS, SECRETS, Polling, Settings, default_text
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
    "parse_setting",
    "unknown_variables",
    "variable_name",
    "without_settings",
]
