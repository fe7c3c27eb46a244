"""A reader of JSON (RFC 8259) with one reading only, as docs/protocol.md asks for in "Strings, JSON and base64url".

Python's own json module takes the last of two members of one name and lets NaN pass. Strings come out as str, also with half of a
surrogate pair in them, for whoever reads the member to judge; numbers stay text.
"""
import re
from typing import NamedTuple

MAX_LEVELS, MAX_ELEMENTS = 6, 64

_SPACE = re.compile(r"[ \n\t\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


class Number(NamedTuple):
    """A number as it stands in the text."""
    text: str


def parse_object(data: bytes) -> dict:
    """Returns the one object that data is, or raises ValueError."""
    text = data.decode("utf-8")
    reader = _Reader(text)
    value = reader.value(0)
    if reader.skip() != len(text):
        raise ValueError("data after the object")
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def has_half_pair(text: str) -> bool:
    """Says whether a string holds half of a surrogate pair."""
    return any("\ud800" <= c <= "\udfff" for c in text)


class _Reader:
    def __init__(self, text):
        self.text, self.at = text, 0

    def skip(self):
        self.at = _SPACE.match(self.text, self.at).end()
        return self.at

    def take(self, pattern):
        found = pattern.match(self.text, self.at)
        if not found:
            raise ValueError("not JSON")
        self.at = found.end()
        return found.group()

    def takes(self, character):
        found = self.text.startswith(character, self.skip())
        self.at += found
        return found

    def value(self, level):
        if self.takes("{"):
            return self.items(level, "}", self.members, {})
        if self.takes("["):
            return self.items(level, "]", self.elements, [])
        if self.text.startswith('"', self.at):
            return self.string()
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return Number(self.take(_NUMBER))

    def items(self, level, end, read, into):
        if level >= MAX_LEVELS:
            raise ValueError("nested too deeply")
        if self.takes(end):
            return into
        while True:
            read(level + 1, into)
            if len(into) > MAX_ELEMENTS:
                raise ValueError("too many members or elements")
            if self.takes(end):
                return into
            if not self.takes(","):
                raise ValueError("not JSON")

    def members(self, level, into):
        self.skip()
        name = self.string()
        if name in into or has_half_pair(name):
            raise ValueError("a name stands twice, or is no text")
        if not self.takes(":"):
            raise ValueError("not JSON")
        into[name] = self.value(level)

    def elements(self, level, into):
        into.append(self.value(level))

    def string(self):
        raw = self.take(_STRING)[1:-1]
        if "\\" not in raw:
            return raw
        text = _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else _SHORT.get(m[1], m[1]), raw)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # joins the pairs
