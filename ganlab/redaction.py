"""Removes passwords from text that is shown, stored or sent: users and passwords of URIs, and secret query parameters.

A pattern finds ``scheme://user:password@host`` in any text. A password may also hold characters that end a URI, such as ``/`` or a space,
and libraries quote parts of such a URI in their messages. So this process remembers the URIs that it was given, and removes these users and
passwords wherever they appear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote

BLANK = "***"
_USER = re.compile(r'(?<=://)[^\s"]*@')
_USER_OF_VALUE = re.compile(r"(?<=://).*@", re.DOTALL)
_PARAMETER = re.compile(
    r"""([?&;](?:[\w.-]*(?:password|passwd|secret|token|api_?key|access_?key|signature|credential)[\w.-]*|pass|pwd|sig)=)[^\s&;"']+""",
    re.IGNORECASE,
)
_URI = re.compile(r"""(?:^|[=,'"\[])\s*[A-Za-z][\w+.-]*://""")  # where a URI begins, in a value or in a word of a command
_ENDS_A_HOST = re.compile(r"[/?#@\s]")
_SAFE = ("", ":", "!#$%&'()*+,/:;=?@[]~")  # what libraries leave as it is when they encode a URI; the last one is that of requests
_LONG_TOKEN = 20  # characters; a shorter user without a password may be an ordinary word

_AT = "(?=@|%40)"

_known: set[str] = set()  # patterns
_known_pattern: re.Pattern[str] | None = None


def redacted(text: str) -> str:
    """``text`` without the users and passwords of URIs in it, without secret query parameters, and without what is remembered.

    >>> redacted("cannot reach https://me:word@host/x?token=abc")
    'cannot reach https://***@host/x?token=***'
    """
    if _known_pattern is not None:
        text = _known_pattern.sub(BLANK, text)
    if "://" in text:
        text = _PARAMETER.sub(rf"\1{BLANK}", _USER.sub(f"{BLANK}@", text))
    return text


def redacted_value(text: str) -> str:
    """As :func:`redacted`, for a whole value or a word of a command: all between the first ``://`` and the last ``@`` is removed.

    >>> redacted_value("--tracking-uri=https://me:a b/c@d@host")
    '--tracking-uri=https://***@host'
    """
    return redacted(_USER_OF_VALUE.sub(f"{BLANK}@", text))


def redacted_document(value: Any) -> Any:
    """A copy of a JSON document in which all texts are :func:`redacted`. Keys stay as they are."""
    if isinstance(value, dict):
        return {key: redacted_document(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_document(child) for child in value]
    return redacted(value) if isinstance(value, str) else value


def remember_secrets(value: Any) -> None:
    """Remember the users and passwords of the URIs in ``value``, so that :func:`redacted` removes them from every text.

    Args:
        value: a URI, a word of a command with a URI, or a document of dicts, lists and texts, such as a recipe.
    """
    global _known_pattern
    new = {pattern for text in _texts(value) for secret in _users(text) for pattern in _patterns(secret)} - _known
    if new:
        _known.update(new)
        _known_pattern = re.compile("|".join(sorted(_known, key=len, reverse=True)), re.IGNORECASE)  # the longest one counts


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def _users(text: str) -> Iterator[str]:
    """What stands between ``://`` and ``@`` in each URI of a text. A password may hold both, so the whole text may also be one URI."""
    if _URI.search(text):
        _, *parts = text.split("://")
        for part in {*parts, "://".join(parts)}:
            if user := part.rpartition("@")[0]:
                yield user


def _patterns(user: str) -> Iterator[str]:
    """Patterns of the texts in which messages may quote ``user:password``, whole or in parts."""
    name, colon, password = unquote(user).partition(":")
    encoded = {colon.join((quote(name, safe), quote(password, safe))) for safe in _SAFE}
    for form in {user, unquote(user), colon.join((quote_plus(name), quote_plus(password))), *encoded}:
        for written in _written(form):
            if written.partition(":")[2] or len(written) >= _LONG_TOKEN:
                yield _start(written) + (r"(?!\w)" if written[-1].isalnum() else "")
            yield _start(written) + _AT
        # A library that ends the host at the first of these characters takes the rest for a path, a fragment or another host.
        for delimiter in _ENDS_A_HOST.finditer(form):
            if rest := form[delimiter.end() :].lstrip("/"):
                yield _start(rest) + _AT
            name, _, port = form[: delimiter.start()].partition(":")
            if port:
                yield from (_start(f"{name}:{port}") + r"(?!\w)", re.escape(f"'{port}'"))


def _written(text: str) -> set[str]:
    """How JSON, TOML, Python and a shell write a text between quotes."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], text.replace("'", "'\"'\"'")}


def _start(form: str) -> str:
    """A pattern for ``form`` that does not begin inside a longer word."""
    return (r"(?<!\w)" if form[0].isalnum() else "") + re.escape(form)
