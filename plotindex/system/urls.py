"""Database URLs as text: which name a server, and how they read with their passwords hidden."""

import re

_NO_HOST = re.compile(r"sqlite[^:]*:///")
_PASSWORD = re.compile(r"(://[^:@]*:).*@", re.DOTALL)
_NO_PORT = re.compile(r"(://[^/@:?\[]*:)(?!\d+([/?]|$))[^/?@]+(?=[/?]|$)")
_PARAMETER = re.compile(r"([?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;]*", re.IGNORECASE)


def veiled(text: str) -> str:
    """An address without passwords, in front of the host and in the query; any other text as it is."""
    if "://" not in text:
        return text
    # A password may hold what ends one elsewhere: it goes as far as the last @.
    shown = text if _NO_HOST.match(text) else _PASSWORD.sub(r"\1***@", text)
    # Where a port would be, a password may be whose host was forgotten.
    return _PARAMETER.sub(r"\1***", _NO_PORT.sub(r"\1***", shown))


def is_of_server(url: str) -> bool:
    """Whether the catalogue lies on a PostgreSQL server."""
    return url.partition(":")[0] in ("postgresql+psycopg", "postgresql", "postgres")
