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
        'An opening handshake that announces a body (`Content-Length`, `Transfer-Encoding`)',
        'accepted; the body is taken for frames', '400',
        'whoever passes it on may send frames as the body of a request, and a request as frames',
        {('101; close 1002; DEBUG Dispatcher',
          r"'HTTP/1.0 400 An opening handshake has no body\r'; 'Server: SimpleHTTP/0.6 Python/*\r'; 'Date: *\r'; ..."): [
              'handshake/content']}),
    Difference(
        'A target with a NUL, and one that leads to a pipe or a device',
        'the connection ends without an answer, and ERROR in the log; or it never ends', 'a 404 page',
        'no client holds a thread for ever',
        {('ERROR WebSocketServer ValueError: ',
          r"'HTTP/1.0 404 File not found\r'; 'Server: SimpleHTTP/0.6 Python/*\r'; 'Date: *\r'; ..."): ['handshake/nul']}),
    Difference(
        'The environment of CGI scripts', 'the whole environment of the server, and some of the headers',
        'what RFC 3875 names, all headers, `PATH`, the locale', 'a script does not know the server\'s secrets',
        {("'JOURNAL is known'", "'JOURNAL is '"): ['http/script-inherits'],
         ("'HTTP_X_MINE='", "'HTTP_X_MINE=a'"): ['http/script-headers']}),
]


CALLS = [
    Difference(
        'A target like `ws://[::1`', '`parse_uri` raises ValueError; the connection ends without an answer',
        'no URI: a 404 page', 'as for every other bad target',
        {('raises ValueError', '(None, None, None)'): ["http_header_util.parse_uri('ws://[::1/x')"]}),
    Difference(
        '`util.get_script_interp` with a Cygwin path and an interpreter without arguments', 'TypeError',
        'the path', 'it was meant to work',
        {('raises TypeError', "'/cyg/bin/perl'"): ["interpreter('#!/usr/bin/perl\\n', '/cyg/bin')"]}),
    Difference(
        'A `str` given to `RepeatedXorMasker.mask`', 'Exception', 'TypeError, which is one', 'it says what is wrong',
        {('raises Exception', 'raises TypeError'): ["masked(KEY, 'text')"]}),
]

# By their full names: what the original has and ours has not, or has with other parameters.
SURFACE = [
    Difference(
        'More parameters, all with defaults',
        '', '`stream.parse_frame(max_length)`, and two private ones', 'the limit of a message',
        {'changed': ['stream.parse_frame', 'util._RFC1979Inflater.filter', 'dispatch._source_handler_file']}),
    Difference(
        'Private helpers of `extensions`, `handshake.hybi`, `util`, `common` and `stream`, and names that a module has '
        'only because it imports them', 'there', 'not there, or with other parameters',
        'no handler, test or embedder that we know of uses them',
        {'missing': [
            'common._parse_extension_param', 'util.DeflateSocket._RECV_SIZE', 'util.RepeatedXorMasker._mask_using_swig',
            'stream._NOOP_MASKER', 'stream.deque', 'extensions._AverageRatioCalculator',
            'extensions._AverageRatioCalculator.add_original_bytes',
            'extensions._AverageRatioCalculator.add_result_bytes',
            'extensions._AverageRatioCalculator.get_average_ratio', 'extensions._AverageRatioCalculator()',
            'extensions._log_incoming_compression_ratio', 'extensions._log_outgoing_compression_ratio',
            'extensions.quote_if_necessary', 'handshake.hybi.Handshaker._create_handshake_response',
            'handshake.hybi.Handshaker._get_key', 'handshake.hybi.Handshaker._validate_connection_header',
            'handshake.hybi.Handshaker._validate_key', 'handshake.hybi._SEC_WEBSOCKET_KEY_REGEX',
            'handshake.hybi.sha1', 'handshake.hybi.util', 'util.NoopMasker()'],
         'changed': ['extensions._PerMessageDeflateFramer._process_incoming_message',
                     'extensions._PerMessageDeflateFramer._process_outgoing_frame']}),
    Difference(
        'The classes of a request and its server', '`_StandaloneRequest` is a class by itself',
        'it is a `mod_pywebsocket.Request`', 'a name for type checkers',
        {'changed': ['request_handler._StandaloneRequest']}),
]

# What the tests of python/tests hold; here it is only said.
BEYOND = [
    Difference(
        'TLS', 'does not start on Python 3.12 and later; the handshake is part of accepting, so one silent client '
        'blocks everybody; threads of one connection may block each other',
        'on every Python, by rustls; nobody waits for another', 'it works'),
    Difference('`--config`', 'does not start on Python 3.12 and later', 'on every Python', 'it works'),
    Difference('`python -m pywebsocket3.standalone -p 0`', 'does not say its port', 'prints it in its first line',
               'tests need no fixed port'),
    Difference('No address can be listened on', 'a line in the log; the process stays, and serves nothing',
               'the same line, exit status 1', 'a script that starts it sees the mistake'),
    Difference('A mistake in options or files', 'a traceback in some cases', 'one line, exit status 1',
               'it says what to do'),
    Difference('A hook that cannot be called with one argument', 'fails when a client comes',
               'the same, and a warning at start with file and line', 'the author sees it first'),
    Difference('A handlers\' directory that is not there', 'no handlers', 'the same, and a warning',
               'a misspelt name is seen at once'),
    Difference('SIGINT and SIGTERM', 'connections drop; SIGINT prints a traceback',
               'close 1001 to everyone, no traceback, then the signal\'s own exit status', 'clients learn why'),
    Difference('Two threads that send on one connection', 'frames may mix, compressed messages may spoil',
               'a message at a time', 'RFC 6455 5.4'),
    Difference('`MessageSender.send` after its thread has died', 'waits for ever', 'raises what ended the thread',
               'a handler can end'),
    Difference('A path or scan directory beside the root whose name begins with the root\'s', 'counts as inside',
               'is outside', 'it is outside'),
    Difference('Basic authentication', 'compared character by character', 'compared in constant time',
               'nobody can guess by the clock'),
    Difference('A client that never answers a close frame', 'holds its thread for ever',
               'holds it for `--close-timeout`, 120 s', 'one client cannot hold a thread for ever'),
    Difference('The head of a request', 'may come as slowly and be as long as the client likes',
               'has 30 s and 256 KiB', 'one client cannot hold a thread for ever'),
    Difference('Control characters of clients in the log', 'as they came', 'as escapes',
               'nobody forges a line, or moves a terminal\'s cursor'),
    Difference('The body for a CGI script', 'whatever its length says, and however slowly it comes',
               'one length, at most 16 MiB, within 120 s; else 400, 408, 411 or 413',
               'one client cannot take all memory, nor hold a thread for ever'),
    Difference('A CGI script whose client has gone', 'goes on for ever',
               'is ended, with what it started; 30 s later where the client has only said that it sends no more',
               'one client cannot start scripts without end'),
    Difference('A link from a CGI directory to a script outside of the document root, or `..` on the way to a script',
               'the script runs, or its source is shown', '403; 404', 'nobody sees the source'),
]

ROWS = WIRE + CALLS + SURFACE + BEYOND


def of_case(name):
    """What may differ in a case: what only the original does, and what only ours."""
    return _CASES.get(name, ('', ''))


def of_call(text):
    """What may differ in a call: what the original gives, and what ours."""
    return _CALLS.get(text, ('', ''))


def of_surface(kind):
    """The names that are ``'missing'`` in ours, or ``'changed'``."""
    return sorted(name for row in SURFACE for name in row.cases.get(kind, ()))


def table():
    """The table of the page, in Markdown."""
    lines = ['| What | pywebsocket3 4.0.2 | linkspan | Why |', '|---|---|---|---|']
    lines += ['| %s |' % ' | '.join(row[:4]) for row in ROWS]
    return '\n'.join(lines) + '\n'


_CASES = {name: change for row in WIRE for change, names in row.cases.items() for name in names}
_CALLS = {text: change for row in CALLS for change, texts in row.cases.items() for text in texts}
