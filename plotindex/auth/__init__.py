"""Who may see which session: tokens, logins, keys and signed addresses.

May import: errors, system, tree, config.
"""

from plotindex.auth.keys import KEPT_KEYS, KEYS_FILE, GivenKeys, KeyFile, addresses_salt, keys_of, parse_keys
from plotindex.auth.logins import CODES_FILE, COOKIE_SECONDS, LOGOUTS_FILE, Logins, parse_ended
from plotindex.auth.signing import HOLDER, SIGNATURE, Addresses
from plotindex.auth.tokens import TOKENS_FILE, Token, Tokens, parse_tokens

__all__ = [
    "CODES_FILE",
    "COOKIE_SECONDS",
    "HOLDER",
    "KEPT_KEYS",
    "KEYS_FILE",
    "LOGOUTS_FILE",
    "SIGNATURE",
    "TOKENS_FILE",
    "Addresses",
    "GivenKeys",
    "KeyFile",
    "Logins",
    "Token",
    "Tokens",
    "addresses_salt",
    "keys_of",
    "parse_ended",
    "parse_keys",
    "parse_tokens",
]
