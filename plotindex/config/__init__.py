"""Settings: their sources, their parsers, and reloading them.

May import: errors, system, tree.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.config.loader import check_setting_names, load_settings, make_settings, parse_setting
    from plotindex.config.parsers import OneOf
    from plotindex.config.reload import INDEXER_SETTINGS, SERVER_SETTINGS, ServiceSettings, SettingsReloader
    from plotindex.config.settings import PARSERS, SECRETS, Polling, Settings, default_text
    from plotindex.config.sources import (
        TOKEN_VARIABLE,
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
    from plotindex.config.times import parse_time

__all__ = [
    "INDEXER_SETTINGS",
    "PARSERS",
    "SECRETS",
    "SERVER_SETTINGS",
    "TOKEN_VARIABLE",
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
    "parse_time",
    "unknown_variables",
    "variable_name",
    "without_settings",
]

__getattr__ = lazy_names(
    __name__,
    {
        "loader": "check_setting_names load_settings make_settings parse_setting",
        "parsers": "OneOf",
        "reload": "INDEXER_SETTINGS SERVER_SETTINGS ServiceSettings SettingsReloader",
        "settings": "PARSERS SECRETS Polling Settings default_text",
        "sources": (
            "TOKEN_VARIABLE RawSetting config_file from_environment from_file from_options option_name "
            "unknown_variables variable_name without_settings"
        ),
        "times": "parse_time",
    },
)
