"""``python -m linkspan connect``: one connection, between the standard input and output and a server."""

import argparse
import base64
import datetime
import json
import os
import sys
import threading

import linkspan

_DESCRIPTION = """\
Every line of the standard input is sent as one text message, and every message that comes is written as one line.
At the end of the input (Ctrl-D in a terminal) the connection is closed, once everything has been sent; --wait and
--count keep it open for answers. Ctrl-C closes, and leaves with status 130; a second one does not wait.

The status is 0 after a clean close, 1 after anything else (one sentence on the standard error says why), and 2 when
the command line is wrong."""

# From our close frame to the end, in seconds: what the system holds before it must reach the server, over a slow line.
_CLOSE_TIMEOUT = 30
_READ_BYTES = 65536
_GOOD_CODES = (1000, 1001, 1005)


def _header(text):
    name, colon, value = text.partition(':')
    if not colon:
        raise argparse.ArgumentTypeError('a header is written \'Name: value\'')
    return name.strip(), value.strip()


def _close(text):
    code, _, reason = text.partition(':')
    if not code.isdigit():
        raise argparse.ArgumentTypeError('a close is written CODE or CODE:REASON')
    return int(code), reason


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, 'linkspan: %s; \'%s --help\' tells more\n' % (message, self.prog))


def _parser():
    parser = _Parser(prog='python -m linkspan connect', description=_DESCRIPTION, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('url', metavar='URL', help='ws://, wss:// or ws+unix:///path/of.sock:/target; without a scheme, ws:// is meant')
    add('-H', '--header', dest='headers', metavar='NAME: VALUE', type=_header, action='append', default=[],
        help='a header to add to the request; may be repeated')
    add('-s', '--protocol', '--subprotocol', dest='protocols', metavar='NAME', action='append', default=[],
        help='a subprotocol to offer, best first; may be repeated')
    add('-o', '--origin', metavar='ORIGIN', help='the Origin to send, as a browser does')
    add('--auth', metavar='USER:PASSWORD', help='for Basic authentication')
    add('--compress', action='store_true', help='offer compression (permessage-deflate)')
    add('-L', '--location', action='store_true', help='follow redirects, ten in a row at the most')
    add('--timeout', metavar='SECONDS', type=float, default=30.0,
        help='longest wait for the connection and the opening handshake (default: 30)')
    add('--proxy', metavar='URL', help='go through this proxy; \'\' is none, without the option the environment says')
    add('--ca', metavar='FILE', help='trust the certificates in this PEM file instead of the system\'s')
    add('--cert', metavar='FILE', help='our own certificate, for servers that ask: a PEM file')
    add('--key', metavar='FILE', help='its private key: a PEM file')
    add('--server-name', metavar='NAME', help='the name to ask for and to check, instead of the host in the URL')
    # Known from other tools; refused, and the refusal says what to use.
    add('-k', '--insecure', '--no-check', dest='insecure', action='store_true', help=argparse.SUPPRESS)
    add('-x', '--execute', metavar='MESSAGE', action='append', default=[],
        help='send this text message once connected; may be repeated')
    add('-b', '--binary', action='store_true',
        help='bytes instead of lines: what is read is sent as binary messages, what comes is written as it is')
    add('--json', action='store_true', help='write one JSON object a line: open, text, binary, close, error')
    add('--max-message', metavar='BYTES', type=int, default=16 << 20,
        help='longest message; a longer one ends the connection (default: 16 MiB)')
    add('--ping', metavar='SECONDS', type=float, default=30.0,
        help='send a ping after so many seconds of silence; 0 for never (default: 30)')
    add('-w', '--wait', metavar='SECONDS', type=float,
        help='stay so long after the end of the input, for answers; -1 until the server closes')
    add('-n', '--count', metavar='MESSAGES', type=int,
        help='close once so many messages have come; until then the end of the input does not close')
    add('-1', '--one-message', dest='count', action='store_const', const=1, help='the same as --count 1')
    add('--close', metavar='CODE[:REASON]', type=_close, default=(1000, ''), help='what to close with (default: 1000)')
    add('-v', '--verbose', action='store_true', help='show the handshake and the close, too')
    add('-q', '--quiet', action='store_true', help='show messages only, and errors')
    return parser


def main(arguments):
    """Runs until the connection is over; the exit status."""
    parser = _parser()
    # To argparse a -1 is the option of that name, wherever it stands.
    joined = []
    for argument in arguments:
        if argument == '-1' and joined and joined[-1] in ('-w', '--wait'):
            argument = joined.pop() and '--wait=-1'
        joined.append(argument)
    options = parser.parse_args(joined)
    if options.insecure:
        parser.error('certificates are always checked; to trust a server\'s own, name it with --ca FILE')
    if options.count is not None and options.count < 1:
        parser.error('--count is 1 or more')
    session = _Session(options)
    try:
        return session.run()
    except KeyboardInterrupt:
        session.interrupted()
        return 130
    except BrokenPipeError:
        # A reader that has seen enough is no problem; nothing is written at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        session.close()
        return 0
    except (ValueError, TypeError) as error:
        return session.failed(error, 2)
    except linkspan.Error as error:
        return session.failed(error, 1)


class _Session:
    def __init__(self, options):
        self.options = options
        self.ws = None
        # What was wrong with the input.
        self.input_error = None
        self.received = 0

    def run(self):
        options = self.options
        url = options.url
        if '://' not in url and not url.startswith(('ws+unix:', 'wss+unix:')):
            url = 'ws://' + url
        headers = list(options.headers)
        if options.auth is not None:
            credentials = base64.b64encode(options.auth.encode()).decode('ascii')
            headers.append(('Authorization', 'Basic ' + credentials))
        self.ws = ws = linkspan.connect(
            url, headers=headers, subprotocols=options.protocols, origin=options.origin, deflate=options.compress,
            max_redirects=10 if options.location else 0, proxy=options.proxy, ca=options.ca, certificate=options.cert,
            private_key=options.key, server_name=options.server_name, connect_timeout=options.timeout,
            handshake_timeout=options.timeout, max_message_bytes=options.max_message, ping_interval=options.ping,
            close_timeout=_CLOSE_TIMEOUT)
        self.opened()
        for message in options.execute:
            ws.send(message)
        threading.Thread(target=self.read_input, daemon=True).start()
        try:
            while True:
                self.show(ws.receive())
                self.received += 1
                if self.received == options.count:
                    self.close()
        except linkspan.ConnectionClosed as closed:
            return self.ended(closed)

    # --- the input, on a thread of its own ------------------------------------

    def read_input(self):
        try:
            for message in self.messages():
                self.ws.send(message)
        except UnicodeDecodeError:
            self.input_error = 'a line of the input is not UTF-8; --binary sends bytes'
        except linkspan.Error:
            # How the connection ended is told there, and that not all was sent.
            self.input_error = ''
            return
        except (OSError, ValueError) as error:
            self.input_error = str(error)
        options = self.options
        if self.input_error is None:
            if options.wait is None and options.count is not None or options.wait is not None and options.wait < 0:
                return
            if options.wait:
                threading.Event().wait(options.wait)
        self.close()

    def messages(self):
        """What is to be sent. The descriptor itself is read: a thread that stands in a file of Python's would be in
        the way of the end."""
        rest = b''
        while True:
            data = os.read(0, _READ_BYTES)
            if self.options.binary:
                if not data:
                    return
                yield data
                continue
            *lines, rest = (rest + data).split(b'\n')
            for line in lines:
                yield line.rstrip(b'\r').decode()
            if not data:
                if rest:
                    yield rest.decode()
                return
            if len(rest) > self.options.max_message:
                raise ValueError('a line of the input is longer than %d bytes; --max-message allows more'
                                 % self.options.max_message)

    def close(self):
        try:
            self.ws.close(*self.options.close)
        except ValueError as error:
            self.input_error = str(error)
            self.ws.abort()

    def interrupted(self):
        if self.ws is None:
            return
        try:
            self.close()
        except KeyboardInterrupt:
            self.ws.abort()

    # --- the output ---------------------------------------------------------

    def opened(self):
        ws, options = self.ws, self.options
        if options.json:
            self.write_json('open', url=ws.url, peer=ws.peer, protocol=ws.subprotocol or '', extensions=ws.extensions,
                            status=ws.response.status, headers=ws.response.headers)
        elif options.verbose:
            known = ['connected to %s (%s)' % (ws.url, ws.peer)]
            known += ['subprotocol ' + ws.subprotocol] if ws.subprotocol else []
            known += [ws.extensions] if ws.extensions else []
            self.note(', '.join(known))
            for name, value in ws.response.headers:
                self.note('  %s: %s' % (name, value))
        elif sys.stdin.isatty() and not options.quiet:
            self.note('connected (Ctrl-D closes)')

    def show(self, message):
        if self.options.json:
            if isinstance(message, str):
                self.write_json('text', data=message)
            else:
                self.write_json('binary', base64=base64.b64encode(message).decode('ascii'))
            return
        is_text = isinstance(message, str)
        if sys.stdout.isatty():
            data = (_safe(message) if is_text else 'binary, ' + _excerpt(message)).encode() + b'\n'
        else:
            data = message.encode() if is_text else message
            data = data if self.options.binary else data + b'\n'
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def write_json(self, kind, **fields):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='milliseconds').replace('+00:00', 'Z')
        sys.stdout.write(json.dumps(dict(fields, type=kind, time=now)) + '\n')
        sys.stdout.flush()

    def note(self, sentence):
        sys.stderr.write(_safe(sentence).replace('\n', '\\n') + '\n')

    def failed(self, error, status):
        if self.options.json and isinstance(error, linkspan.HandshakeError):
            self.write_json('error', message=str(error), status=error.status, headers=error.headers,
                            body=error.body.decode('utf-8', 'replace'))
        elif self.options.json:
            self.write_json('error', message=str(error))
        self.note('linkspan: %s' % error)
        return status

    def ended(self, closed):
        """Tells how it ended, and whether that was good."""
        info = self.ws._native.close_info
        code, reason, is_clean, is_ours = info if info is not None else (closed.code, closed.reason, False, False)
        if self.options.json:
            self.write_json('close', code=code, reason=reason, clean=is_clean, by='client' if is_ours else 'server')
        how = '%s: %s' % ('closed' if is_ours else 'closed by the server', ('%d %s' % (code, reason)).strip())
        is_good = is_clean and (is_ours or code in _GOOD_CODES)
        problem = None
        if self.input_error:
            problem = self.input_error
        elif not is_clean:
            problem = str(closed)
        elif not is_good:
            problem = how
        elif self.input_error is not None and not is_ours:
            problem = how + ', before all was sent'
        if problem is not None:
            self.note('linkspan: ' + problem)
            return 1
        if self.options.verbose or sys.stdin.isatty() and not self.options.quiet and not is_ours:
            self.note(how)
        return 0


def _safe(text):
    """Text for a terminal: what would move the cursor or turn the direction of writing is written out."""
    return ''.join(c if c.isprintable() or c in '\n\t' else c.encode('unicode_escape').decode('ascii') for c in text)


def _excerpt(data):
    shown = data[:48].hex(' ')
    return '%d byte%s%s%s' % (len(data), '' if len(data) == 1 else 's', ': ' + shown if shown else '',
                              ' …' if len(data) > 48 else '')
