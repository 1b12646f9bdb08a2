"""URLs as text: recognize PostgreSQL, redact passwords, write an address."""

import re

_NO_HOST = re.compile(r"sqlite[^:]*:///")
_PASSWORD = re.compile(r"(://[^:@]*:).*@", re.DOTALL)
_NO_PORT = re.compile(r"(://[^/@:?\[]*:)(?!\d+([/?]|$))[^/?@]+(?=[/?]|$)")
_PARAMETER = re.compile(r"([?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;]*", re.IGNORECASE)


def host_port(host: str, port: int) -> str:
    """`host:port` as in a URL: an IPv6 address in brackets."""
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def redact_url(text: str) -> str:
    """`text` with the passwords of a URL, in its authority and query, replaced by ***; other text unchanged."""
    if "://" not in text:
        return text
    # A password may contain delimiters: match up to the last @.
    redacted = text if _NO_HOST.match(text) else _PASSWORD.sub(r"\1***@", text)
    # Without a host, the password stands where a port would.
    return _PARAMETER.sub(r"\1***", _NO_PORT.sub(r"\1***", redacted))


def is_postgres_url(url: str) -> bool:
    """Whether `url` names a PostgreSQL database."""
    return url.partition(":")[0] in ("postgresql+psycopg", "postgresql", "postgres")
