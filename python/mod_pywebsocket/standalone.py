#!/usr/bin/env python
"""The stand-alone server.

::

    python -m mod_pywebsocket.standalone -p 9998 -w handlers -d document_root

serves ``handlers/echo_wsh.py`` as ``ws://localhost:9998/echo`` and the files of ``document_root`` over HTTP;
``--help`` lists all options. With ``-t -k KEY -c CERTIFICATE`` it speaks TLS. Ctrl-C and SIGTERM close every
connection with 1001; a second one ends the process at once.
"""

import os
import sys

# Run by its path, this directory would come first, and its modules have names of others.
if __name__ == '__main__' and sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
    del sys.path[0]

import argparse

_DEFAULT_LOG_MAX_BYTES = 1024 * 256
_DEFAULT_LOG_BACKUP_COUNT = 5
_DEFAULT_REQUEST_QUEUE_SIZE = 128
# The longest timeout: about a month, which every clock can add.
_MAX_SECONDS = 2000000


def __getattr__(name):
    # Slow to import, and embedders ask for them here.
    if name == 'WebSocketServer':
        from mod_pywebsocket.websocket_server import WebSocketServer
        return WebSocketServer
    if name in ('common', 'server_util', 'util'):
        import importlib
        return importlib.import_module('mod_pywebsocket.' + name)
    raise AttributeError('module %r has no attribute %r' % (__name__, name))


def _build_option_parser():
    parser = argparse.ArgumentParser(
        prog='standalone', usage='%(prog)s [OPTIONS]', description='Serves WebSocket handlers (*_wsh.py) and files.',
        formatter_class=_help_formatter)

    def add(*names, **settings):
        parser.add_argument(*names, **settings)

    add('--config', dest='config_file', metavar='FILE',
        help='INI file with a section [pywebsocket]; the command line comes before it')
    add('-H', '--server-host', '--server_host', dest='server_host', default='', metavar='HOST',
        help='host to listen on (default: every address)')
    add('-V', '--validation-host', '--validation_host', dest='validation_host', metavar='HOST',
        help='host that an absolute ws: target must name')
    add('-p', '--port', dest='port', type=int, default=80, help='port to listen on; 0 picks one and prints it')
    add('--listen-fd', '--listen_fd', dest='listen_fd', type=int, metavar='FD',
        help='a descriptor that listens already, as 3 is systemd\'s: TCP or a Unix socket, instead of host and port')
    add('--forwarded', dest='forwarded', action='store_true',
        help='a proxy in front tells the client\'s address and scheme: Forwarded, or X-Forwarded-For and -Proto; only '
             'where nobody else can connect')
    add('-P', '--validation-port', '--validation_port', dest='validation_port', type=int, metavar='PORT',
        help='port that an absolute ws: target must name')
    add('-w', '--websock-handlers', '--websock_handlers', dest='websock_handlers', default='.', metavar='DIR',
        help='root of the handler files (default: the document root)')
    add('-m', '--websock-handlers-map-file', '--websock_handlers_map_file', dest='websock_handlers_map_file',
        metavar='FILE', help='lines of two words: an alias and an existing resource')
    add('-s', '--scan-dir', '--scan_dir', dest='scan_dir', metavar='DIR',
        help='directory inside of the handlers\' root to take files from (default: all of it)')
    add('--allow-handlers-outside-root-dir', '--allow_handlers_outside_root_dir',
        dest='allow_handlers_outside_root_dir', action='store_true',
        help='follow links of handler files that lead out of the scan directory')
    add('-d', '--document-root', '--document_root', dest='document_root', default='.', metavar='DIR',
        help='root of the files served over HTTP; other paths here are relative to it')
    add('-x', '--cgi-paths', '--cgi_paths', dest='cgi_paths', metavar='PATHS',
        help='comma-separated paths below which executable files are CGI scripts')
    add('-t', '--tls', dest='use_tls', action='store_true', help='speak TLS')
    add('-k', '--private-key', '--private_key', dest='private_key', default='', metavar='FILE',
        help='key of the certificate, PEM')
    add('-c', '--certificate', dest='certificate', default='', metavar='FILE', help='certificate chain, PEM')
    add('--tls-client-auth', dest='tls_client_auth', action='store_true', help='clients must show a certificate')
    add('--tls-client-cert-optional', dest='tls_client_cert_optional', action='store_true',
        help='with --tls-client-auth: clients may show a certificate')
    add('--tls-client-ca', dest='tls_client_ca', default='', metavar='FILE',
        help='certificates that sign those of clients, PEM')
    add('--basic-auth', dest='use_basic_auth', action='store_true', help='ask for a user and a password')
    add('--basic-auth-credential', dest='basic_auth_credential', default='test:test', metavar='USER:PASSWORD',
        help='which (default: test:test)')
    add('-l', '--log-file', '--log_file', dest='log_file', default='', metavar='FILE',
        help='file for the log (default: stderr)')
    add('--log-level', '--log_level', dest='log_level', default='warn',
        choices=['fine', 'debug', 'info', 'warning', 'warn', 'error', 'critical'], help='least level to log')
    add('--deflate-log-level', '--deflate_log_level', dest='deflate_log_level', default='warn',
        choices=['debug', 'info', 'warning', 'warn', 'error', 'critical'], help='the same for compression')
    add('--thread-monitor-interval-in-sec', '--thread_monitor_interval_in_sec',
        dest='thread_monitor_interval_in_sec', type=int, default=-1, metavar='SECONDS',
        help='log the threads this often')
    add('--log-max', '--log_max', dest='log_max', type=int, default=_DEFAULT_LOG_MAX_BYTES, metavar='BYTES',
        help='size at which the log file is rotated')
    add('--log-count', '--log_count', dest='log_count', type=int, default=_DEFAULT_LOG_BACKUP_COUNT,
        metavar='FILES', help='rotated log files to keep')
    add('-q', '--queue', dest='request_queue_size', type=int, default=_DEFAULT_REQUEST_QUEUE_SIZE,
        metavar='CONNECTIONS', help='how many may wait to be accepted')
    add('--handler-encoding', '--handler_encoding', dest='handler_encoding', metavar='CODEC',
        help='encoding of the handler files (default: the locale\'s)')
    # Of this library.
    add('--max-message-bytes', '--max_message_bytes', dest='max_message_bytes', type=int, default=128 << 20,
        metavar='BYTES', help='longest message to receive, inflated; 0 is without limit (default: 128 MiB)')
    add('--close-timeout', '--close_timeout', dest='close_timeout', type=float, default=120.0, metavar='SECONDS',
        help='how long clients have to answer a close frame; 0 is for ever (default: 120)')
    add('--ping-interval', '--ping_interval', dest='ping_interval', type=float, default=0.0, metavar='SECONDS',
        help='ping a client that was silent for so long, and end its connection after as long again; 0 is never '
             '(default)')
    add('--idle-timeout', '--idle_timeout', dest='idle_timeout', type=float, default=0.0, metavar='SECONDS',
        help='close a connection with 1001 when no message has passed for so long; 0 is never (default)')
    add('--metrics', dest='metrics', type=int, metavar='PORT',
        help='answer http://127.0.0.1:PORT/metrics with what was counted, in OpenMetrics; 0 picks a port and prints it')
    add('--json-log', '--json_log', dest='json_log', action='store_true',
        help='log one JSON object a line: time, level, connection, event, fields')
    add('--origin', dest='origins', action='extend', type=_split_at_commas, default=[], metavar='ORIGIN',
        help='pages of this origin may connect and no others, as https://example.com; may be repeated, or a '
             'comma-separated list. What is no browser sends no origin and is let in')
    # Of the server's first generation; accepted, warned of once, without effect.
    add('--tls-module', '--tls_module', dest='tls_module', choices=['ssl', 'pyopenssl'], help=argparse.SUPPRESS)
    add('--allow-draft75', dest='allow_draft75', action='store_true', help=argparse.SUPPRESS)
    add('--strict', dest='strict', action='store_true', help=argparse.SUPPRESS)
    return parser


def _help_formatter(prog):
    # One is made for each option, and without a width it would import half of what is slow to import.
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)


def _split_at_commas(text):
    return [item.strip() for item in text.split(',') if item.strip()]


def _parse_args_and_config(args):
    """Options from the command line and from the file that its ``--config`` names: ``(options, [])``.

    Ends the program with status 1 when arguments are left, or the file cannot be used.
    """
    return _parse(args, _build_option_parser())


def _parse(args, parser):
    config_parser = argparse.ArgumentParser(add_help=False, formatter_class=_help_formatter)
    config_parser.add_argument('--config', dest='config_file')
    config_file = config_parser.parse_known_args(args)[0].config_file
    from_file = _read_config(config_file) if config_file else []
    # What comes later wins.
    options, rest = parser.parse_known_args(from_file + list(args))
    if rest:
        _die('Unrecognized positional arguments: %r' % rest)
    return options, rest


def _read_config(path):
    import configparser
    config = configparser.ConfigParser(interpolation=None)
    try:
        with open(path) as config_file:
            config.read_file(config_file)
        items = config.items('pywebsocket')
    except (OSError, UnicodeDecodeError, configparser.Error) as e:
        _die('cannot use the configuration file %s: %s' % (path, str(e).replace('\n', ' ')))
    known = _build_option_parser()._option_string_actions
    arguments = []
    for name, value in items:
        action = known.get('--' + name)
        if action is None or name == 'config':
            continue
        arguments.append('--' + name)
        if action.nargs != 0:
            arguments.append(value)
    return arguments


def _die(message, options=None):
    """One line that says why there is no server, in the log that ``options`` name and on stderr."""
    import logging

    from mod_pywebsocket import server_util
    if options is not None and not logging.getLogger().handlers:
        try:
            server_util.configure_logging(options)
        except OSError:
            # The log itself may be what is wrong.
            pass
    logging.critical('%s', message)
    if options is not None and options.log_file and logging.getLogger().handlers:
        print(message, file=sys.stderr)
    raise SystemExit(1)


def _main(args=None):
    """Parses the command line (by default the process's own) and serves until a signal ends it."""
    from mod_pywebsocket import _serving
    _serving.serve(lambda: _prepared(sys.argv[1:] if args is None else args, _build_option_parser()), _die)


def _prepared(args, parser):
    """The options of a command line, checked and made into what the server wants."""
    options, _ = _parse(args, parser)
    try:
        os.chdir(options.document_root)
    except OSError as e:
        _die('cannot use the document root %s: %s' % (options.document_root, e.strerror))
    _check_tls(options)
    _check_values(options)
    options.cgi_directories = options.cgi_paths.split(',') if options.cgi_paths else []
    options.is_executable_method = None
    if options.use_basic_auth:
        from base64 import b64encode
        credential = b64encode(options.basic_auth_credential.encode('utf-8')).decode('ascii')
        options.basic_auth_credential = 'Basic ' + credential
    if not options.scan_dir:
        options.scan_dir = options.websock_handlers
    return options


def _check_tls(options):
    if not options.use_tls:
        for name, is_set in (('--tls-client-auth', options.tls_client_auth),
                             ('--tls-client-cert-optional', options.tls_client_cert_optional)):
            if is_set:
                _die('%s needs --tls' % name, options)
    elif not (options.private_key and options.certificate):
        _die('--tls needs --private-key and --certificate', options)
    elif options.tls_client_cert_optional and not options.tls_client_auth:
        _die('--tls-client-cert-optional needs --tls-client-auth', options)
    elif options.tls_client_auth and not options.tls_client_ca:
        _die('--tls-client-auth needs --tls-client-ca', options)


def _check_values(options):
    if not 0 <= options.port <= 65535:
        _die('--port is 0 to 65535, not %d' % options.port, options)
    if options.max_message_bytes < 0:
        _die('--max-message-bytes is at least 0, not %d' % options.max_message_bytes, options)
    for name, seconds in (('--close-timeout', options.close_timeout), ('--ping-interval', options.ping_interval),
                          ('--idle-timeout', options.idle_timeout)):
        if not 0 <= seconds <= _MAX_SECONDS:
            _die('%s is 0 to %d seconds, not %s' % (name, _MAX_SECONDS, seconds), options)
    if options.handler_encoding:
        import codecs
        try:
            codecs.lookup(options.handler_encoding)
        except LookupError:
            _die('--handler-encoding: Python has no encoding %r; UTF-8 is utf-8' % options.handler_encoding, options)
    if options.metrics is not None and not 0 <= options.metrics <= 65535:
        _die('--metrics takes a port, 0 to 65535, not %d' % options.metrics, options)
    if options.request_queue_size < 0:
        _die('--queue is at least 0, not %d' % options.request_queue_size, options)
    for origin in options.origins:
        scheme, _, host = origin.partition('://')
        if origin.lower() != 'null' and not (scheme and host and not set(host) & set('/?#@* ')):
            _die('--origin takes what browsers send, as https://example.com or http://localhost:8000, without a path; '
                 'not %r' % origin, options)


if __name__ == '__main__':
    _main()
