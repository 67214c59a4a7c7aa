"""The lexical rules of RFC 2616 2.2, as small steps over a string.

>>> state = ParsingState('gzip; level="very high"')
>>> consume_token(state), consume_string(state, ';'), consume_lws(state)
('gzip', True, True)
>>> consume_token(state), consume(state), consume_token_or_quoted_string(state)
('level', '=', 'very high')
>>> peek(state) is None
True
"""

import re

_SEPARATORS = '()<>@,;:\\"/[]?={} \t'
# Every CHAR but CTLs and separators.
_TOKEN = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _is_char(c):
    return ord(c) <= 127


def _is_ctl(c):
    return ord(c) <= 31 or ord(c) == 127


class ParsingState:
    """A string and how far it is read: ``data`` and ``head``."""

    def __init__(self, data):
        self.data = data
        self.head = 0


def peek(state, pos=0):
    """The character ``pos`` behind the head, or ``None`` behind the end."""
    at = state.head + pos
    return state.data[at] if at < len(state.data) else None


def consume(state, amount=1):
    """The next ``amount`` characters, or ``None`` (and nothing consumed) when there are fewer."""
    end = state.head + amount
    if end > len(state.data):
        return None
    taken = state.data[state.head:end]
    state.head = end
    return taken


def consume_string(state, expected):
    """Consumes exactly ``expected``; whether it was there."""
    if not state.data.startswith(expected, state.head):
        return False
    state.head += len(expected)
    return True


def consume_lws(state):
    """Consumes one LWS, an optional CRLF and blanks; whether it was there."""
    start = state.head
    consume_string(state, '\r\n')
    blanks = state.head
    while peek(state) in (' ', '\t'):
        state.head += 1
    if state.head == blanks:
        state.head = start
        return False
    return True


def consume_lwses(state):
    """Consumes any number of LWS."""
    while consume_lws(state):
        pass


def consume_token(state):
    """The token at the head, or ``None``."""
    token = _TOKEN.match(state.data, state.head)
    if token is None:
        return None
    state.head = token.end()
    return token.group()


def consume_token_or_quoted_string(state):
    """The token, or the content of the quoted string, at the head; ``None`` when neither is there.

    A run of white space inside quotes becomes one blank, a backslash takes the next character as it is.
    """
    start = state.head
    if not consume_string(state, '"'):
        return consume_token(state)
    content = []
    while True:
        if consume_lws(state):
            content.append(' ')
            continue
        c = consume(state)
        if c == '"':
            return ''.join(content)
        if c == '\\':
            c = consume(state)
            if c is None or not _is_char(c):
                break
        elif c is None or _is_ctl(c):
            break
        content.append(c)
    state.head = start
    return None


def quote_if_necessary(s):
    """``s`` when it is a token, else a quoted string with its content.

    >>> quote_if_necessary('token'), quote_if_necessary('two words')
    ('token', '"two words"')
    """
    if _TOKEN.fullmatch(s):
        return s
    # A backslash stays as it is: what pywebsocket3 writes.
    escaped = ''.join('\\' + c if c == '"' or _is_ctl(c) else c for c in s)
    return '"' + escaped + '"'


def parse_uri(uri):
    """Takes a request's target apart: ``(host, port, resource)``.

    Host and port are ``None`` unless the target is an absolute ``ws:`` or ``wss:`` URI; all three are
    ``None`` when such a URI has no host or no valid port. ``resource`` keeps query and fragment.

    >>> parse_uri('/chat?room=1')
    (None, None, '/chat?room=1')
    >>> parse_uri('wss://Example.org/chat')
    ('example.org', 443, '/chat')
    >>> parse_uri('ws://example.org:99999/chat')
    (None, None, None)
    """
    if not uri.lower().startswith(('ws:', 'wss:')):
        return None, None, uri
    # Few servers ever see one, and this import is slow.
    from urllib.parse import urlsplit
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None, None, None
    if not host:
        return None, None, None
    if port is None:
        port = 443 if parts.scheme == 'wss' else 80
    resource = parts.path or '/'
    if parts.query:
        resource += '?' + parts.query
    if parts.fragment:
        resource += '#' + parts.fragment
    return host, port, resource
