"""What clients say to both servers, by name. The first part of a name is the group of options it belongs to."""

from raw import close, head, masked, text
from wire import END, FRAME, HALF, HEAD

PMD = 'permessage-deflate'
# 'Hello' as RFC 7692 7.2.3.1 has it.
HELLO = b'\xf2\x48\xcd\xc9\xc9\x07\x00'
LATIN = 'Caf\xe9'


def upgraded(target, *steps, **headers):
    """A conversation behind an opening handshake, to its end."""
    return (head(target, **headers), HEAD) + steps + (END,)


def answered(target, frames=1, code=1000, **headers):
    """The handler sends so many frames, the last of which is a close: it waits for ours, and answers pings."""
    return upgraded(target, *(FRAME,) * frames, masked(0x89, b'?'), FRAME, close(code), **headers)


def _handshakes():
    """Contract 10: what is an opening handshake, and what is not."""
    requests = {
        'good': head(),
        'post': head(method='POST'), 'head': head(method='HEAD'), 'connect': head(method='CONNECT'),
        'lower-case-get': head(method='get'),
        'http-1.0': head(protocol='HTTP/1.0'), 'http-1.2': head(protocol='HTTP/1.2'),
        'http-2.0': head(protocol='HTTP/2.0'), 'http-0.9': b'GET /echo\r\n\r\n', 'http-bad': head(protocol='HTTP/x'),
        'http-1': head(protocol='HTTP/1'), 'http-1.1.1': head(protocol='HTTP/1.1.1'), 'http-lower': head(protocol='http/1.1'),
        'http-blank-behind': head(protocol='HTTP/1.1 '), 'http-hard-blank-behind': head(protocol='HTTP/1.1\xa0'),
        'blank-before': b' ' + head(), 'tabs': head().replace(b' ', b'\t', 2),
        'http-1.10': head(protocol='HTTP/1.10'), 'http-01.1': head(protocol='HTTP/01.1'),
        'three-blanks': b'GET   /echo   HTTP/1.1\r\n' + head().partition(b'\r\n')[2],
        'four-words': head('/echo more'), 'one-word': b'GET\r\n\r\n',
        'no-connection': head(drop=['Connection']), 'connection-empty': head(Connection=''),
        'connection-close': head(Connection='close'), 'connection-list': head(Connection='keep-alive, UPGRADE'),
        'connection-holes': head(Connection='keep-alive,,Upgrade,'), 'connection-bad': head(Connection='a b'),
        'connection-substring': head(Connection='Upgraded'),
        'no-upgrade': head(drop=['Upgrade']), 'upgrade-list': head(Upgrade='websocket, h2c'),
        'upgrade-blanks': head(Upgrade=' websocket '), 'upgrade-case': head(Upgrade='WebSocket'),
        'upgrade-other': head(Upgrade='h2c'),
        'no-host': head(drop=['Host']), 'host-empty': head(Host=''), 'host-strange': head(Host='a b:c'),
        'no-key': head(drop=['Sec-WebSocket-Key']), 'key-short': head(Sec_WebSocket_Key='AAAA'),
        'key-empty': head(Sec_WebSocket_Key=''), 'key-bits': head(Sec_WebSocket_Key='dGhlIHNhbXBsZSBub25jZR=='),
        'key-blank': head(Sec_WebSocket_Key='dGhlIHNhbXBsZSBub25jZQ== '),
        'key-list': head(Sec_WebSocket_Key='dGhlIHNhbXBsZSBub25jZQ==, a'),
        'keys': head(more=['Sec-WebSocket-Key: AAAA']),
        'keys-bad-first': head(drop=['Sec-WebSocket-Key'],
                               more=['Sec-WebSocket-Key: AAAA', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']),
        'no-version': head(drop=['Sec-WebSocket-Version']), 'version-empty': head(Sec_WebSocket_Version=''),
        'version-list': head(Sec_WebSocket_Version='13, 8'), 'version-8': head(Sec_WebSocket_Version='8'),
        'version-013': head(Sec_WebSocket_Version='013'), 'version-blank': head(Sec_WebSocket_Version='13 '),
        'versions': head(Sec_WebSocket_Version='8', more=['Sec-WebSocket-Version: 13']),
        'no-key-old-version': head(drop=['Sec-WebSocket-Key'], Sec_WebSocket_Version='8'),
        'protocol-empty': head(Sec_WebSocket_Protocol=''), 'protocol-bad': head(Sec_WebSocket_Protocol='a b'),
        'protocol-unchosen': head(Sec_WebSocket_Protocol='a'),
        'extensions-empty': head(Sec_WebSocket_Extensions=''), 'extensions-bad': head(Sec_WebSocket_Extensions='a;'),
        'extensions-unknown': head(Sec_WebSocket_Extensions='x-unknown; a=1'),
        'fragment': head('/echo#frag'), 'fragment-empty': head('/echo#'), 'fragment-elsewhere': head('/nothing#frag'),
        'query': head('/echo?a=b#'), 'two-slashes': head('//echo'), 'slash-behind': head('/echo/'),
        'escaped': head('/%65cho'), 'dots': head('/x/../echo'), 'case': head('/ECHO'),
        'dots-and-dashes': head('/dots.and-dashes?a=/b'), 'semicolon': head('/echo;a'), 'backslash': head('\\echo'),
        'two-words': head('/two words'), 'two-words-escaped': head('/two%20words'), 'escape-in-name': head('/per%63ent'),
        'escape-in-name-unescaped': head('/percent'), 'byte-order-mark': head('/marked'),
        'carriage-returns': head('/carriage'), 'declared-encoding': head('/declared'), 'deep': head('/a' * 5000),
        'sub': head('/sub/inner'), 'sub-root': head('/sub/'), 'root': head('/'),
        'upper-suffix': head('/upper'), 'outside': head('/outside'), 'linked': head('/linked'),
        'linked-directory': head('/linked_sub/inner'), 'broken': head('/syntax'),
        'absolute': head('ws://localhost/echo'), 'absolute-https': head('wss://else:1/echo?a'),
        'absolute-http': head('http://localhost/echo'), 'absolute-bad-port': head('ws://localhost:99999/echo'),
        'absolute-no-host': head('ws:///echo'), 'absolute-no-path': head('ws://localhost'),
        'absolute-fragment': head('ws://localhost/echo#f'), 'star': head('*'), 'no-slash': head('echo'),
        'folded': head(more=['X-Folded: a', '  b']),
        'bare-lf': head().replace(b'\r\n', b'\n'),
        'latin': head(X_Latin=LATIN), 'header-no-colon': head(more=['nonsense']),
        'header-blank-name': head(more=['X Y: a']), 'header-empty-name': head(more=[': a']),
        'header-space-before-colon': head(more=['X-Y : a']),
        'headers-100': head(more=['X: a'] * 95), 'headers-101': head(more=['X: a'] * 96),
        'header-longest': head(X='a' * 65531), 'header-too-long': head(X='a' * 65532),
        'target-long': head('/echo?' + 'a' * 60000), 'target-too-long': head('/echo?' + 'a' * 65536),
        'leading-empty-line': b'\r\n' + head(), 'nul': head('/echo\0'), 'cr': head('/echo\r'),
        'get-no-upgrade': head(drop=['Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version']),
        'expect': head(Expect='100-continue'), 'content': head(Content_Length='5') + b'hello',
    }
    cases = {}
    for name, request in requests.items():
        cases[name] = (request, HALF, END)
    cases['half-a-head'] = (head()[:-4], HALF, END)
    cases['half-a-line'] = (b'GET /page.html', HALF, END)
    cases['nothing'] = (HALF, END)
    cases['pipelined'] = (head() + text('early') + masked(0x82, b'') + close(1000), END)
    cases['two-requests'] = (head('/missing', Connection='keep-alive') * 2, HALF, END)
    return cases


def _first_hook():
    cases = {}
    for name in ('return', 'value', 'key', 'os', 'aborted', 'handshake', 'handshake-401', 'version', 'dispatch',
                 'terminated', 'bad-operation', 'invalid-frame', 'unsupported', 'utf8', 'system-exit',
                 'keyboard-interrupt', 'base', 'send-too-early', 'receive-too-early', 'write', 'write-str',
                 'write-then-abort', 'read-until-the-end', 'protocol-unasked', 'header', 'header-with-line-break',
                 'header-none', 'header-snowman', 'header-one', 'headers-repeated', 'no-processors', 'none-processor',
                 'wrong-processor', 'unheard-of'):
        cases[name] = (head('/hook1?' + name), HALF, END)
    cases['by-hand'] = upgraded('/hook1?by-hand', FRAME, close(1001))
    for name in ('protocol-b', 'protocol-other', 'protocol-two-words', 'protocol-empty', 'protocol-int',
                 'protocol-skip', 'return'):
        cases['asked-' + name] = (head('/hook1?' + name, Sec_WebSocket_Protocol='a, b'), HALF, END)
    for name in ('no-processors', 'none-processor'):
        cases['offered-' + name] = (head('/hook1?' + name, Sec_WebSocket_Extensions=PMD), HALF, END)
    return cases


def _second_hook():
    cases = {}
    # A close frame that is answered after a ping.
    for name, frames in {
            'return': 1, 'bad-operation': 1, 'unsupported': 1, 'utf8': 1, 'close': 1, 'close-none': 1,
            'close-none-empty': 1, 'close-3000': 1, 'close-longest': 1, 'close-twice': 1, 'close-none-reason': 1,
            'close-999': 1, 'close-1005': 1, 'close-1015': 1, 'close-5000': 1, 'close-int-reason': 1, 'close-long': 1,
            'send-str-as-binary': 1, 'send-surrogate': 1, 'send-long-surrogate': 1, 'send-fragments': 6,
            'send-mixed': 2, 'send-kinds': 10, 'send-lengths': 5, 'frames': 8, 'ping-too-long': 1, 'local': 2}.items():
        cases[name] = answered('/hook2?' + name, frames)
    # The server ends it.
    for name in ('value', 'unicode', 'os', 'aborted', 'handshake', 'handshake-401', 'version', 'dispatch',
                 'terminated', 'invalid-frame', 'system-exit', 'keyboard-interrupt', 'base',
                 'set-server-terminated', 'set-client-terminated', 'close-no-wait', 'close-going-away', 'close-protocol-error', 'close-bytes', 'close-str-code',
                 'send-after-close', 'send-bytes-as-text', 'send-none', 'send-int', 'send-list-as-binary',
                 'ping-no-body', 'unheard-of'):
        cases[name] = upgraded('/hook2?' + name)
    for name in ('closed-value', 'closed-bad-operation', 'closed-unsupported', 'closed-invalid-frame',
                 'receive-twice', 'receive', 'send-after-client', 'callback-receiver'):
        cases[name] = upgraded('/hook2?' + name, close(3000, 'bye'))
    cases['message-instead-of-close'] = upgraded('/hook2?return', FRAME, text('still talking'))
    cases['bad-frame-instead-of-close'] = upgraded('/hook2?return', FRAME, b'\x81\x00')
    cases['bad-text-instead-of-close'] = upgraded('/hook2?bad-operation', FRAME, masked(0x81, b'\xff'))
    cases['reserved-instead-of-close'] = upgraded('/hook2?unsupported', FRAME, masked(0x83))
    cases['end-instead-of-close'] = upgraded('/hook2?return', FRAME, HALF)
    cases['receive-message'] = upgraded('/hook2?receive', text('a'), FRAME, close())
    cases['receive-end'] = upgraded('/hook2?receive', HALF)
    cases['receive-half-a-frame'] = upgraded('/hook2?receive', text('half')[:-1], HALF)
    cases['receive-half-a-header'] = upgraded('/hook2?receive', b'\x81', HALF)
    cases['receive-kinds'] = upgraded(
        '/hook2?receive-kinds', text('') + masked(0x82) + text('\u2603') + text('a', fin=False) + masked(0x00)
        + masked(0x80, b'b') + masked(0x02, b'\xff') + masked(0x80, b'\xfe') + masked(0x8a, b'unasked')
        + masked(0x89, b'p') + masked(0x82, b'x' * 126) + masked(0x82, b'y' * 70000) + close(4000, 'end'))
    cases['ping'] = upgraded('/hook2?ping', *(FRAME,) * 4, masked(0x8a, 'b'.encode()) + masked(0x8a, b'\xff')
                             + masked(0x8a, b'nothing') + text('go on'), FRAME, FRAME, close())
    cases['ping-in-turn'] = upgraded('/hook2?ping', *(FRAME,) * 4, masked(0x8a, b'a') + masked(0x8a, b'b')
                                     + text('go on'), FRAME, FRAME, close())
    cases['ping-late'] = upgraded('/hook2?ping', *(FRAME,) * 4, masked(0x8a, b'unasked') + text('go on'),
                                  FRAME, FRAME, close())
    for name in ('on-ping', 'on-ping-broken', 'on-ping-off'):
        cases[name] = upgraded('/hook2?' + name, masked(0x89, b'\xff'), FRAME, text('go on'), FRAME, close())
    cases['on-ping-raises'] = upgraded('/hook2?on-ping-raises', masked(0x89, b'p'))
    cases['on-pong-raises'] = upgraded('/hook2?on-pong-raises', masked(0x8a, b'p'))
    cases['privates'] = upgraded(
        '/hook2?privates', text('one') + text('two') + masked(0x8f, b'three') + b'raw' + text('four', fin=False)
        + masked(0x80, b'teen') + b'until;' + text('five', fin=False) + text('six') + b'{}', FRAME, FRAME, close())
    cases['process-close'] = upgraded('/hook2?process-close', close(3001, 'a'))
    cases['filters'] = upgraded('/hook2?filters', text('abc'), FRAME, FRAME, close())
    cases['attributes'] = upgraded(
        '/hook2?attributes', FRAME, FRAME, close(), Origin='http://here', Cookie='c=d', X_Latin=LATIN,
        more=['X-Twice: 1', 'x-twice: 2', 'X-Folded: a', ' \t b'])
    cases['attributes-plain'] = upgraded('/hook2?attributes', FRAME, FRAME, close(), Origin='null', more=['X-Twice:1'])
    cases['attributes-parts'] = upgraded(
        '/hook2?attributes', FRAME, FRAME, close(), Content_Type='multipart/mixed; boundary=x', Content_Length='0')
    cases['two-threads'] = upgraded('/hook2?two-threads', FRAME, FRAME, text('third'), FRAME, close(1000))
    cases['raw-read'] = upgraded('/hook2?raw-read', b'abc', b'def')
    cases['raw-read-end'] = (head('/hook1?read-until-the-end') + b'abc', HALF, END)
    keep_on = {
        'reserved': masked(0x83) + masked(0x8b) + masked(0xc1, b'a') + masked(0xa1) + masked(0x91) + masked(0xc9)
        + masked(0x84, b'\xff') + text('good'),
        'reserved-unfinished': masked(0x03) + masked(0x80) + text('a') + text('b') + masked(0x80) + text('c') * 4,
        'texts': masked(0x81, b'\xff') + masked(0x81, b'\xed\xa0\x80') + masked(0x81, b'\xc0\x80') + text('good') * 5,
        'long-controls': (masked(0x89, b'x' * 126) + text('good')) * 4,
        'fragments': masked(0x80) + masked(0x00) + text('a', fin=False) + text('b') + masked(0x80, b'c')
        + masked(0x09) + text('good') * 4,
        'lengths': b'\x81\xfe\x00\x01\0\0\0\0a' + b'\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\0b' + text('c') * 6,
    }
    for name, frames in keep_on.items():
        cases['keep-on-' + name] = upgraded('/hook2?keep-on', frames, *(FRAME,) * 9, close())
    return cases


def _third_hook():
    cases = {}
    for name in ('echo', 'report', 'normal', 'reason', 'list', '1004', '1016', '2999', 'none-none', 'none-empty',
                 'none-text', 'normal-none', 'none', 'int', 'three', 'float', 'true', 'generator', 'dict', 'two-letters', 'empty-code', 'longest-reason', 'str-code',
                 'bytes-reason', 'int-reason', 'aborted', 'terminated', 'handshake', 'value', 'system-exit',
                 'keyboard-interrupt', 'send-first', 'close-first', 'invalid-frame', '1005', '1006', '1015', '999',
                 '0', '5000', 'long-reason', 'surrogate-reason', 'bad-operation', 'unsupported', 'utf8'):
        cases[name] = upgraded('/hook3?' + name, close(3000, 'bye'))
    for name, frame in {
            'empty': close(), 'one-byte': masked(0x88, b'x'), 'reason': close(1000, 'caf\xe9'),
            '0': close(0), '999': close(999), '1004': close(1004), '1005': close(1005), '1006': close(1006),
            '1012': close(1012), '1014': close(1014), '1015': close(1015), '1016': close(1016), '2999': close(2999),
            '3000': close(3000), '4999': close(4999), '5000': close(5000), '65535': close(65535),
            'bad-reason': masked(0x88, b'\x03\xe8\xff'),
            'longest': close(1000, 'x' * 123), 'too-long': close(1000, 'x' * 124),
            'unfinished': masked(0x08, b'\x03\xe8'), 'rsv': masked(0xc8, b'\x03\xe8') + close()}.items():
        cases['got-' + name] = upgraded('/hook3?report', frame)
        cases['default-' + name] = upgraded('/echo', frame)
    cases['echo-empty'] = upgraded('/hook3?echo', close())
    cases['twice'] = upgraded('/hook3?normal', close() + close())
    cases['more-behind'] = upgraded('/hook3?normal', close() + text('more'))
    cases['query'] = upgraded('/hook3?normal', close(1000))
    cases['broken-hook'] = upgraded('/badpassive', close(3000, 'bye'))
    return cases


def _frames():
    """Contract 7: bytes that a peer may send, to a handler that echoes."""
    frames = {
        'unmasked': b'\x81\x02hi', 'unmasked-empty': b'\x81\x00', 'unmasked-close': b'\x88\x00',
        'text': text('\u2603'), 'text-empty': text(''), 'binary': masked(0x82, bytes(range(256))),
        'bad-text': masked(0x81, b'\xff'), 'surrogate': masked(0x81, b'\xed\xa0\x80'),
        'bad-text-unfinished': masked(0x01, b'\xff'),
        'bad-text-later': text('a', fin=False) + masked(0x80, b'\xff'),
        'text-cut-in-character': masked(0x01, b'\xe2') + masked(0x00, b'\x98') + masked(0x80, b'\x83'),
        'rsv1': masked(0xc1), 'rsv2': masked(0xa1), 'rsv3': masked(0x91), 'rsv1-ping': masked(0xc9),
        'opcode-3': masked(0x83), 'opcode-7': masked(0x87, b'x'), 'opcode-11': masked(0x8b), 'opcode-15': masked(0x8f),
        'opcode-11-too-long': masked(0x8b, b'x' * 126),
        'continuation': masked(0x80), 'continuation-unfinished': masked(0x00),
        'message-in-message': text('a', fin=False) + text('b'),
        'message-in-message-unfinished': text('a', fin=False) + text('b', fin=False),
        'ping-unfinished': masked(0x09), 'ping-too-long': masked(0x89, b'x' * 126), 'ping-longest': masked(0x89, b'x' * 125),
        'ping-in-message': text('a', fin=False) + masked(0x89, b'p') + masked(0x80, b'b'),
        'pong-in-message': text('a', fin=False) + masked(0x8a, b'p') + masked(0x80, b'b'),
        'close-in-message': text('a', fin=False) + close(1000),
        'pong': masked(0x8a, b'unasked'), 'ping': masked(0x89) + masked(0x89, b'\xff'),
        'length-16-not-shortest': b'\x81\xfe\x00\x01\0\0\0\0a', 'length-64-not-shortest': b'\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\0b',
        'length-63-bits': b'\x82\xff\x80\0\0\0\0\0\0\0\x01\x02\x03\x04',
        'length-2-62': b'\x82\xff\x40\0\0\0\0\0\0\0\x01\x02\x03\x04',
        'lengths': b''.join(masked(0x82, b'z' * length) for length in (0, 1, 125, 126, 127, 65535, 65536)),
        'fragments': text('a', fin=False) + masked(0x00) * 3 + masked(0x00, b'b') + masked(0x80, b'c'),
    }
    cases = {}
    for name, data in frames.items():
        cases[name] = upgraded('/echo', data + close(1000))
        cases['by-byte-' + name] = upgraded('/echo', *(data[i:i + 1] for i in range(min(len(data), 64))),
                                            data[64:], close(1000))
    cases['nothing'] = upgraded('/echo', HALF)
    return cases


def _deflate():
    """Contract 9: offers, and the bytes of compressed messages."""
    bits, fresh = 'server_max_window_bits', 'server_no_context_takeover'
    offers = {
        'plain': PMD, 'unknown-first': 'x-a, ' + PMD, 'twice': PMD + ', ' + PMD, 'case': 'Permessage-Deflate',
        'old-name': 'x-webkit-deflate-frame', 'old-then-new': 'deflate-frame, ' + PMD,
        'bits-7': PMD + '; %s=7' % bits, 'bits-8': PMD + '; %s=8' % bits, 'bits-9': PMD + '; %s=9' % bits,
        'bits-15': PMD + '; %s=15' % bits, 'bits-16': PMD + '; %s=16' % bits, 'bits-08': PMD + '; %s=08' % bits,
        'bits-none': PMD + '; ' + bits, 'bits-quoted': PMD + '; %s="10"' % bits, 'bits-word': PMD + '; %s=ten' % bits,
        'bits-twice': PMD + '; %s=10; %s=11' % (bits, bits), 'bits-empty': PMD + '; %s=""' % bits,
        'bits-declined-then-good': PMD + '; %s=7, ' % bits + PMD + '; %s=12' % bits,
        'fresh': PMD + '; ' + fresh, 'fresh-value': PMD + '; %s=1' % fresh, 'fresh-bits': PMD + '; %s; %s=9' % (fresh, bits),
        'client-bits': PMD + '; client_max_window_bits', 'client-bits-10': PMD + '; client_max_window_bits=10',
        'client-bits-7': PMD + '; client_max_window_bits=7', 'client-bits-quoted': PMD + '; client_max_window_bits="15"',
        'client-fresh': PMD + '; client_no_context_takeover',
        'client-fresh-value': PMD + '; client_no_context_takeover=1',
        'other': PMD + '; other', 'other-value': PMD + '; server_max_window_bits=10; x=y',
        'browser': PMD + '; client_max_window_bits',
    }
    compressed = masked(0xc1, HELLO)
    cases = {}
    for name, offer in offers.items():
        cases['offer-' + name] = upgraded('/deflate', text('Hello') + close(1000), Sec_WebSocket_Extensions=offer)
    for name in ('client-bits', 'client-fresh', 'client-both', 'too-early-bfinal', 'too-early-enable',
                 'too-early-disable', 'inactive', 'pick'):
        for offer in ('plain', 'client-bits'):
            cases['%s-%s' % (name, offer)] = (
                head('/deflate?' + name, Sec_WebSocket_Extensions=offers[offer]), HALF, END)
    for name, frames in {'bfinal': 4, 'switch': 2, 'fragments': 8, 'mixed': 16, 'apart': 5, 'half': 3}.items():
        for offer in ('plain', 'bits-9', 'fresh', 'fresh-bits'):
            cases['%s-%s' % (name, offer)] = answered('/deflate?' + name, frames + 1,
                                                      Sec_WebSocket_Extensions=offers[offer])
    for name, data in {
            'hello': compressed, 'hello-twice': compressed + masked(0xc1, b'\xf2\x00\x11\x00\x00'),
            'stored': masked(0xc1, b'\x00\x05\x00\xfa\xffHello\x00'),
            'final-block': masked(0xc1, b'\xf3\x48\xcd\xc9\xc9\x07\x00\x00') * 2,
            'two-blocks': masked(0xc1, b'\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00'),
            'fragments': masked(0x41, HELLO[:3]) + masked(0x80, HELLO[3:]), 'empty': masked(0xc1),
            'empty-zero': masked(0xc1, b'\x00'), 'binary': masked(0xc2, HELLO), 'plain': text('Hello'),
            'plain-fragments': text('Hel', fin=False) + masked(0x80, b'lo'), 'plain-binary': masked(0x82, b'\xff'),
            'bad-text': masked(0xc1, b'\x00\x01\x00\xfe\xff\xff\x00'), 'plain-bad-text': masked(0x81, b'\xff'),
            'garbage': masked(0xc1, b'\xff\xff\xff'), 'rsv1-continuation': masked(0x41, HELLO[:3]) + masked(0xc0, HELLO[3:]),
            'rsv1-ping': masked(0xc9, b'p'), 'rsv1-close': masked(0xc8, b'\x03\xe8'), 'rsv2': masked(0xa1), 'rsv12': masked(0xe1),
            'ping-in-message': masked(0x41, HELLO[:3]) + masked(0x89, b'p') + masked(0x80, HELLO[3:]),
            'mixed': compressed + text('plain') + compressed,
            'big': masked(0xc2, _deflated(b'\0' * 200000)) + masked(0xc2, _deflated(bytes(range(256)) * 40))}.items():
        for offer in ('plain', 'fresh'):
            cases['got-%s-%s' % (name, offer)] = upgraded('/deflate', data + close(1000),
                                                          Sec_WebSocket_Extensions=offers[offer])
    cases['by-hand'] = upgraded('/deflate?by-hand', compressed, FRAME, FRAME, close(), Sec_WebSocket_Extensions=PMD)
    return cases


def _deflated(data):
    import zlib
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def plain(target, method='GET', body=b'', protocol='HTTP/1.0', **headers):
    """An ordinary request, and what is answered."""
    lines = ['%s %s %s' % (method, target, protocol)]
    lines += ['%s: %s' % (name.replace('_', '-'), value) for name, value in headers.items()]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1') + body, HALF, END


def _http():
    """Contract 16: files and scripts."""
    return {
        'file': plain('/page.html'), 'head': plain('/page.html', 'HEAD'), 'http-1.1': plain('/page.html', protocol='HTTP/1.1'),
        'keep-alive': plain('/page.html', protocol='HTTP/1.1', Connection='keep-alive'),
        'query': plain('/page.html?a'), 'escaped': plain('/p%61ge.html'), 'missing': plain('/missing'),
        'missing-head': plain('/missing', 'HEAD'), 'missing-markup': plain('/<b>'),
        'directory': plain('/directory'), 'index': plain('/directory/'), 'index-htm': plain('/htm/'),
        'listing': plain('/list/'), 'root-listing': plain('/list/?a'), 'directory-query': plain('/directory?a=b'),
        'modified': plain('/page.html', If_Modified_Since='Fri, 01 Jan 1999 00:00:00 GMT'),
        'not-modified': plain('/page.html', If_Modified_Since='Fri, 01 Jan 2038 00:00:00 GMT'),
        'if-none-match': plain('/page.html', If_Modified_Since='Fri, 01 Jan 2038 00:00:00 GMT', If_None_Match='x'),
        'type-svg': plain('/image.svg'), 'type-none': plain('/data'), 'type-js': plain('/code.js'),
        'file-slash': plain('/page.html/'), 'empty-file': plain('/empty.txt'),
        'post': plain('/page.html', 'POST', b'body', Content_Length=4), 'put': plain('/page.html', 'PUT'),
        'options': plain('/', 'OPTIONS'), 'delete': plain('/page.html', 'DELETE'), 'unheard-of': plain('/', 'BREW'),
        'climb': plain('/../secret'), 'climb-escaped': plain('/%2e%2e/secret'), 'climb-inside': plain('/list/../page.html'),
        'climb-deep': plain('/list/../../secret'), 'climb-three': plain('/a/b/../../../secret'),
        'linked-file': plain('/linked.html'), 'upgrade': (head('/page.html'), HALF, END),
        'handler-source': plain('/echo_wsh.py'), 'http-0.9': (b'GET /page.html\r\n', HALF, END),
        'absolute-http': plain('http://localhost/page.html'), 'absolute-ws': plain('ws://localhost/page.html'),
        'ws-without-port': plain('ws://localhost:x/page.html'),
        'script': plain('/cgi/hello.py'), 'script-query': plain('/cgi/hello.py?a=b&c'), 'script-words': plain('/cgi/hello.py?a+b'),
        'script-post': plain('/cgi/hello.py', 'POST', b'body', Content_Length=4, Content_Type='text/x'),
        'script-head': plain('/cgi/hello.py', 'HEAD'), 'script-path': plain('/cgi/hello.py/more'),
        'script-missing': plain('/cgi/missing'), 'script-plain': plain('/cgi/plain.txt'), 'script-sub': plain('/cgi/sub/hello.py'),
        'script-directory': plain('/cgi/'), 'script-directory-bare': plain('/cgi'), 'script-climb': plain('/cgi/../page.html'),
        'script-fails': plain('/cgi/fails.py'), 'script-not-executable': plain('/cgi/off.py'),
        'script-not-executable-post': plain('/cgi/off.py', 'POST', Content_Length=0),
        'script-elsewhere': plain('/list/hello.py'), 'script-escaped': plain('/cgi/hell%6f.py'),
        'script-headers': plain('/cgi/hello.py', X_Mine='a', Cookie='b', Accept='c', User_Agent='d', Referer='e'),
        'script-two-slashes': plain('//cgi/hello.py'), 'second-directory': plain('/bin/hello.py'),
        'script-inherits': plain('/cgi/inherits.sh'),
    }


def _authorization():
    good = 'Basic bWU6c2VjcmV0'
    return {
        'none': (head(), HALF, END), 'good': (head(Authorization=good), HALF, END),
        'wrong': (head(Authorization='Basic bWU6d3Jvbmc='), HALF, END),
        'case': (head(Authorization='basic bWU6c2VjcmV0'), HALF, END), 'latin': (head(Authorization=LATIN), HALF, END),
        'missing': plain('/missing'), 'file': plain('/page.html', Authorization=good), 'post': plain('/', 'POST'),
    }


def _options():
    """A server with a map file, hosts to validate, another encoding, a directory to scan, links outside."""
    return {
        'alias': (head('/alias?a'), HALF, END), 'chain': (head('/chain'), HALF, END), 'tab': (head('/tab'), HALF, END),
        'three-words': (head('/three'), HALF, END), 'unknown': (head('/unknown'), HALF, END),
        'comment': (head('/comment'), HALF, END), 'blank-behind': (head('/behind'), HALF, END), 'blank-before': (head('/blank'), HALF, END),
        'host': (head('ws://right:81/sub/inner'), HALF, END), 'other-host': (head('ws://wrong:81/sub/inner'), HALF, END),
        'other-port': (head('ws://right/sub/inner'), HALF, END), 'host-case': (head('WS://RIGHT:81/sub/inner'), HALF, END),
        'user': (head('ws://me:x@right:81/sub/inner'), HALF, END), 'scanned': (head('/sub/inner'), HALF, END),
        'not-scanned': (head('/echo'), HALF, END), 'encoded': upgraded('/sub/latin', FRAME, FRAME, close()),
        'outside': (head('/sub/outside'), HALF, END), 'alias-passive': upgraded('/alias', close(3000, 'x')),
    }


def _tls():
    return {
        'echo': upgraded('/echo', text('a'), FRAME, close(1000)), 'attributes': upgraded('/hook2?attributes', FRAME, FRAME, close(), Origin='x'),
        'file': (plain('/page.html')[0], END), 'value': upgraded('/hook2?value'), 'bad': (head('/echo', Upgrade='x'), END),
        'big': upgraded('/echo', masked(0x82, b'x' * 300000), FRAME, close(1000)),
        # Not with two threads, with which the original may hang.
        'deflate': upgraded('/deflate', text('Hello'), FRAME, close(1000), Sec_WebSocket_Extensions=PMD),
    }


GROUPS = {
    'handshake': _handshakes(), 'hook1': _first_hook(), 'hook2': _second_hook(), 'hook3': _third_hook(),
    'frames': _frames(), 'deflate': _deflate(), 'http': _http(), 'authorization': _authorization(),
    'options': _options(), 'tls': _tls(),
}
# Groups that one server with these options serves.
SERVERS = [
    (('handshake', 'hook1', 'hook2', 'hook3', 'frames', 'deflate', 'http'), ('-x', '/cgi,/bin')),
    (('authorization',), ('--basic-auth', '--basic-auth-credential', 'me:secret')),
    (('options',), ('-m', '../handlers.map', '-V', 'right', '-P', '81', '-s', '../handlers/sub', '--handler-encoding',
                    'latin-1', '--allow-handlers-outside-root-dir')),
    (('tls',), ('-t', '-k', '../server.key', '-c', '../server.pem')),
]
CASES = {group + '/' + name: steps for group, cases in GROUPS.items() for name, steps in cases.items()}
