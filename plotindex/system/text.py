"""Escape names for terminals, logs and SQL: control characters and lone surrogates."""


def is_encodable(name: str) -> bool:
    """Whether `name` can be encoded as UTF-8, i.e. has no lone surrogates."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """`name` for a terminal or a log: as `escape`, with backslashes doubled, so that no two names look alike."""
    return escape(name.replace("\\", "\\\\"))


def escape(text: str) -> str:
    """`text` with control characters, bidirectional marks and surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
