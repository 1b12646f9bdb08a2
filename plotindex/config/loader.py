"""Load the settings from options, environment and plotindex.toml."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import platformdirs

from plotindex.config.settings import PARSERS, Settings
from plotindex.config.sources import RawSetting, closest_name, from_environment, from_file, from_options, option_name
from plotindex.errors import SettingsError


def load_settings(
    options: Mapping[str, object | None],
    environment: Mapping[str, str] = os.environ,
    config: Path | None = None,
    name_option: Callable[[str], str] = option_name,
) -> Settings:
    """Load the settings. Precedence: options, environment, file, defaults.

    `name_option` returns how error messages call an option.

    Raises:
        SettingsError: a setting is missing, unknown or invalid, or two conflict.
    """
    if sys.platform != "linux":
        raise SettingsError("plotindex runs on Linux: on Windows in WSL, on macOS in a virtual machine.")
    check_setting_names(options, "PlotIndex()")
    sources = (
        from_file(environment, config),
        from_environment(PARSERS, environment),
        from_options(options, name_option),
    )
    return make_settings({raw.name: parse_setting(raw) for raw in chain(*sources)})


def parse_setting(raw: RawSetting) -> Any:  # noqa: ANN401 - of any type that a setting has
    """The value of a setting.

    Raises:
        SettingsError: the setting is unknown or its value invalid.
    """
    if raw.name not in PARSERS:
        check_setting_names([raw.name], raw.label.removeprefix(f"{raw.name} in "))
    return PARSERS[raw.name](raw.label, raw.value)


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings with these values, and defaults for the rest.

    Raises:
        SettingsError: the root is missing, or two settings conflict.
    """
    if "root" not in values:
        raise SettingsError(
            "No root is given: name the directory that holds the sessions with --root or PLOTINDEX_ROOT."
        )
    settings = Settings(**{"state_dir": values.get("state_dir") or _default_state_dir(), **values})
    if settings.x_accel_prefix and f"{settings.url_prefix}/plots/".startswith(f"{settings.x_accel_prefix}/"):
        raise SettingsError(
            f"x_accel_prefix {settings.x_accel_prefix} overlaps {settings.url_prefix}/plots, the path of plots: "
            "choose an unused path, such as /plotindex-files."
        )
    return settings


def _default_state_dir() -> Path:
    """The user's state directory (XDG_STATE_HOME).

    Raises:
        SettingsError: the user has no home directory.
    """
    try:
        return platformdirs.user_state_path("plotindex")
    except RuntimeError:
        raise SettingsError("This user has no home directory for the state: set PLOTINDEX_STATE_DIR.") from None


def check_setting_names(names: Iterable[str], where: str) -> None:
    """Check that these are names of settings.

    Raises:
        SettingsError: a name is unknown; the message suggests the closest one.
    """
    for name in names:
        if name not in PARSERS:
            closest = closest_name(name, PARSERS)
            hint = f"do you mean {closest}?" if closest else f"it can hold {', '.join(PARSERS)}."
            raise SettingsError(f"{where} has an unknown setting {name!r}: {hint}")
