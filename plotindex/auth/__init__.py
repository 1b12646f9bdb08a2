"""Access control: tokens, browser logins, signing keys and signed URLs.

May import: errors, system, tree, config.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.auth.clocks import CLOCK_TEXT, ClockSealer
    from plotindex.auth.keys import (
        KEYS_FILE,
        MAX_PREVIOUS_KEYS,
        ExternalKeys,
        KeyFile,
        parse_keys,
        signed_url_salt,
        signing_keys,
    )
    from plotindex.auth.logins import CODES_FILE, COOKIE_SECONDS, LOGOUTS_FILE, Logins, parse_logouts
    from plotindex.auth.signing import EXPIRES_PARAMETER, SIGNATURE_PARAMETER, TOKEN_ID_PARAMETER, UrlSigner
    from plotindex.auth.tokens import TOKENS_FILE, Token, Tokens, parse_tokens

__all__ = [
    "CLOCK_TEXT",
    "CODES_FILE",
    "COOKIE_SECONDS",
    "EXPIRES_PARAMETER",
    "KEYS_FILE",
    "LOGOUTS_FILE",
    "MAX_PREVIOUS_KEYS",
    "SIGNATURE_PARAMETER",
    "TOKENS_FILE",
    "TOKEN_ID_PARAMETER",
    "ClockSealer",
    "ExternalKeys",
    "KeyFile",
    "Logins",
    "Token",
    "Tokens",
    "UrlSigner",
    "parse_keys",
    "parse_logouts",
    "parse_tokens",
    "signed_url_salt",
    "signing_keys",
]

__getattr__ = lazy_names(
    __name__,
    {
        "clocks": "CLOCK_TEXT ClockSealer",
        "keys": "KEYS_FILE MAX_PREVIOUS_KEYS ExternalKeys KeyFile parse_keys signed_url_salt signing_keys",
        "logins": "CODES_FILE COOKIE_SECONDS LOGOUTS_FILE Logins parse_logouts",
        "signing": "EXPIRES_PARAMETER SIGNATURE_PARAMETER TOKEN_ID_PARAMETER UrlSigner",
        "tokens": "TOKENS_FILE Token Tokens parse_tokens",
    },
)
