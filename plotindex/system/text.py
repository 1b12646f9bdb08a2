"""Names as terminals, logs and SQL can hold them: control characters and lone surrogates escaped."""


def is_text(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """`name` for a terminal or a log, unambiguously: as `escape`, and backslashes doubled."""
    return escape(name.replace("\\", "\\\\"))


def escape(text: str) -> str:
    """`text` with its control characters, bidirectional marks and surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
