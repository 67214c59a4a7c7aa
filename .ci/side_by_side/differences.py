"""The one table of what differs from pywebsocket3 4.0.2. Everything else is the same, or a test fails.

Each row says what differs in words, which docs/coming-from-pywebsocket.md repeats, and names the tests' cases in
which it shows: what only the original does there, and what only ours.
"""

from typing import NamedTuple


class Difference(NamedTuple):
    what: str
    original: str
    ours: str
    why: str
    # (what only the original does, what only ours does): names of cases.
    cases: dict = {}


def _both(*names):
    """The cases of a close frame: to a handler with the third hook and to one without."""
    return ['hook3/%s-%s' % (hook, name) for name in names for hook in ('got', 'default')]


def _by_byte(*names):
    """The same bytes at once and one by one."""
    return ['frames/' + way + name for name in names for way in ('', 'by-byte-')]


HELLO = r"text RSV1 '\xf2H\xcd\xc9\xc9\x07\x00'"

WIRE = [
    Difference(
        'A ping, pong or close between the fragments of a message', 'close 1002', 'handled; the message goes on',
        'RFC 6455 5.4',
        {('close 1002; DEBUG Dispatcher', "pong 'p'; text 'ab'; close 1000"): _by_byte('ping-in-message'),
         ('close 1002; DEBUG Dispatcher', "text 'ab'; close 1000"): _by_byte('pong-in-message'),
         ('close 1002; DEBUG Dispatcher', 'close 1000'): _by_byte('close-in-message'),
         ('close 1002; DEBUG Dispatcher', "pong 'p'; %s; close 1000" % HELLO): [
             'deflate/got-ping-in-message-plain', 'deflate/got-ping-in-message-fresh'],
         ('DEBUG Dispatcher', ''): ['hook2/privates']}),
    Difference(
        'A close frame with a code that nobody may send (0, 999, 1004, 1005, 5000 and so on)',
        'whatever the handler returns', 'the handler sees the code, then close 1002', 'RFC 6455 7.4',
        {('close 1000', 'close 1002'): _both(
            '0', '999', '1004', '1005', '1006', '1015', '1016', '2999', '5000', '65535')}),
    Difference(
        'A close frame whose reason is not UTF-8', 'whatever the handler returns',
        'the handler sees the reason with replacement characters, then close 1007', 'RFC 6455 5.5.1',
        {('close 1000', 'close 1007'): _both('bad-reason')}),
    Difference(
        'Bad UTF-8 in a text message', 'close 1007 when the message is complete',
        'close 1007 at the first bad byte, and no wait for the rest', 'RFC 6455 8.1',
        {('close 1002', 'close 1007'): _by_byte('bad-text-unfinished')}),
    Difference(
        'RSV1 on a continuation frame', 'accepted', 'close 1002', 'RFC 7692 6.1',
        {('%s; close 1000' % HELLO, 'close 1002; DEBUG Dispatcher'): [
            'deflate/got-rsv1-continuation-plain', 'deflate/got-rsv1-continuation-fresh']}),
    Difference(
        'A compressed message that does not inflate', 'the connection ends without a close frame; ERROR in the log',
        'close 1002', 'the client learns why',
        {('ERROR WebSocketServer error: web_socket_transfer_data raised exception for /deflate: ',
          'close 1002; DEBUG Dispatcher'): ['deflate/got-garbage-plain', 'deflate/got-garbage-fresh']}),
    Difference(
        'An offer of permessage-deflate with `client_no_context_takeover` or `client_max_window_bits=N`', 'declined',
        'accepted', 'RFC 7692 7.1',
        {("101; text 'Hello'", '101 [Sec-WebSocket-Extensions: permessage-deflate]; ' + HELLO): [
            'deflate/offer-client-bits-10', 'deflate/offer-client-bits-quoted', 'deflate/offer-client-fresh']}),
    Difference(
        'A frame or message longer than `--max-message-bytes` (128 MiB unless told otherwise)',
        'memory for the announced length, or the connection ends without a close frame',
        'close 1009 before a byte of it is kept', 'one client cannot take all memory',
        {('ERROR WebSocketServer MemoryError: ', 'close 1009; DEBUG Dispatcher'): _by_byte('length-2-62')}),
    Difference(
        'A request whose head has no end (the client stops sending, or speaks HTTP/0.9)',
        'judged by what there is', 'the connection ends without an answer',
        'a client that is slow with its head holds no thread',
        {('101; DEBUG Dispatcher', ''): ['handshake/half-a-head'],
         ("'<p>page</p>'; ''; INFO WebSocketRequestHandler \"GET /page.html\" 200 -", ''): [
             'handshake/half-a-line', 'http/http-0.9']}),
    Difference(
        'A path that climbs above the document root', 'the connection ends without an answer; ERROR in the log',
        'a 404 page', 'a client learns why, and the log stays clean',
        {('ERROR WebSocketServer IndexError: ',
          r"'HTTP/1.0 404 File not found\r'; 'Server: SimpleHTTP/0.6 Python/*\r'; 'Date: *\r'; ..."): [
              'http/climb', 'http/climb-escaped', 'http/climb-deep', 'http/climb-three']}),
    Difference(
        'The environment of CGI scripts', 'the whole environment of the server, and some of the headers',
        'what RFC 3875 names, all headers, `PATH`, the locale', 'a script does not know the server\'s secrets',
        {("'JOURNAL is known'", "'JOURNAL is '"): ['http/script-inherits'],
         ("'HTTP_X_MINE='", "'HTTP_X_MINE=a'"): ['http/script-headers']}),
]


def of_case(name):
    """What may differ in a case: what only the original does, and what only ours."""
    return _CASES.get(name, ('', ''))


_CASES = {name: change for row in WIRE for change, names in row.cases.items() for name in names}
