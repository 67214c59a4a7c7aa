"""What expressions give, one a line: run in each environment, printed as JSON (contract 2 to 11)."""

import json
import os
import sys
import tempfile

from pywebsocket3 import (
    _stream_exceptions,
    common,
    dispatch,
    extensions,
    handshake,
    http_header_util,
    memorizingfile,
    msgutil,
    stream,
    util,
)
from pywebsocket3.handshake import base, hybi

KEY = b'\x01\x02\x03\x04'
os.urandom = lambda length: KEY[:length]


class Connection:
    """A connection made of bytes: reads give at most ``most`` of them at a time."""

    remote_addr = ('there', 5)

    def __init__(self, data=b'', most=1 << 30):
        self.data, self.most, self.written, self.asked = data, most, [], []

    def read(self, length):
        self.asked.append(length)
        part, self.data = self.data[:min(length, self.most)], self.data[min(length, self.most):]
        return part

    def write(self, data):
        self.written.append(bytes(data))


class Request:
    """A request of somebody else's."""

    ws_version = 13

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def is_https(self):
        return False


class Upside:
    """A filter for frames and for messages."""

    def filter(self, what, *rest):
        if isinstance(what, (str, bytes)):
            return what[::-1]
        what.payload = what.payload[::-1]
        what.rsv3 = 0


def stream_of(data=b'', most=1 << 30, **options):
    settings = stream.StreamOptions()
    settings.unmask_receive = False
    settings.__dict__.update(options)
    request = Request(connection=Connection(data, most))
    request.ws_stream = stream.Stream(request, settings)
    return request.ws_stream


def frame(*arguments, **named):
    """What a frame function of the stream module writes."""
    name, *arguments = arguments
    return getattr(stream, 'create_' + name)(*arguments, **named)


def received(data, *methods, **options):
    """What receiving calls give on such bytes, what they asked the connection for, and what was written."""
    ws = stream_of(data, **options)
    said = []
    for method in methods or ('receive_message',):
        try:
            name, *arguments = method if isinstance(method, tuple) else (method,)
            one = getattr(ws, name)(*arguments)
            said.append(vars_of(one) if isinstance(one, stream.Frame) else one)
        except Exception as e:
            said.append(type(e).__name__)
    request = ws._request
    return (said, request.connection.asked, request.connection.written, request.client_terminated,
            request.server_terminated, getattr(request, 'ws_close_code', 'none'),
            getattr(request, 'ws_close_reason', 'none'), ws._received_fragments, ws._original_opcode)


def sent(*calls, **options):
    """What sending calls write."""
    ws = stream_of(**options)
    said = []
    for name, *arguments in calls:
        try:
            said.append(getattr(ws, name)(*arguments))
        except Exception as e:
            said.append(type(e).__name__)
    return said, ws._request.connection.written, list(ws._ping_queue), ws._request.server_terminated


def vars_of(frame_):
    return [getattr(frame_, name) for name in ('fin', 'rsv1', 'rsv2', 'rsv3', 'opcode', 'payload')]


def parsed(data):
    """Extensions as plain lists."""
    return [(one.name(), one.get_parameters()) for one in common.parse_extensions(data)]


def parameter(*pairs):
    one = common.ExtensionParameter('e')
    for pair in pairs:
        one.add_parameter(*pair)
    return one


def with_state(function, data, *arguments):
    state = http_header_util.ParsingState(data)
    return function(state, *arguments), state.head


def frames_of(*builds, **settings):
    builder = stream.FragmentedFrameBuilder(False, **settings)
    return [builder.build(*build) for build in builds]


def lines(sizes, most=sys.maxsize):
    import io
    file_ = memorizingfile.MemorizingFile(io.BytesIO(b'one\ntwo\nthree'), most)
    return [file_.readline(size) for size in sizes], file_.get_memorized_lines(), file_.read(2)


def raised(name, *arguments):
    """An exception's attributes."""
    error = getattr(base, name)(*arguments)
    return str(error), error.args, getattr(error, 'status', '-'), getattr(error, 'supported_versions', '-')


def prepended(error):
    util.prepend_message_to_exception('before ', error)
    return str(error), error.args


def interpreter(text, *arguments):
    with tempfile.NamedTemporaryFile('w') as script:
        script.write(text)
        script.flush()
        return util.get_script_interp(script.name, *arguments)


def deflated(bits, fresh, *messages):
    one = util._RFC1979Deflater(bits, fresh)
    return [one.filter(*message) for message in messages], one._window_bits, one._no_context_takeover


def inflated(*parts, bits=15):
    one = util._RFC1979Inflater(bits)
    return [one.filter(part) for part in parts]


def inflated_by(data, *sizes):
    one = util._Inflater(15)
    one.append(data)
    return [one.decompress(size) for size in sizes]


def masked(key, *parts):
    masker = util.RepeatedXorMasker(key)
    return [masker.mask(part) for part in parts]


def answer(offer, **settings):
    """A processor's answer to an offer, and what its stream gets."""
    one = extensions.get_extension_processor(common.parse_extensions(offer)[0])
    if one is None:
        return None
    for name, value in settings.items():
        getattr(one, name)(value)
    response = one.get_extension_response()
    options = stream.StreamOptions()
    one.setup_stream_options(options)
    return (response and common.format_extension(response), one.is_active(), one.name(), one.request().name(),
            [len(getattr(options, name)) for name in sorted(vars(stream.StreamOptions())) if 'filters' in name],
            options.encode_text_message_to_utf8, hasattr(one, '_framer'), one.get_extension_response() and 1)


def suite_of(resource, *names):
    """A dispatcher of somebody else's, who did not call the constructor."""
    class Own(dispatch.Dispatcher):
        def __init__(self):
            self._handler_suite_map = dict.fromkeys(names, 'suite')
            self._source_warnings = []
    return Own().get_handler_suite(resource)


def resource_of(path, base_dir='/base'):
    return dispatch._create_path_to_resource_converter(base_dir)(path)


def shaken(handshaker=hybi.Handshaker, drop=(), hook=lambda request: None, **headers):
    """An opening handshake with a request of somebody else's: what it has then, and what was written."""
    fields = {'Host': 'h', 'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13',
              'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ=='}
    fields.update((name.replace('_', '-'), value) for name, value in headers.items())
    for name in drop:
        del fields[name]
    request = Request(connection=Connection(), headers_in=fields, method='GET', protocol='HTTP/1.1', uri='/r?q')

    class Hooks:
        def do_extra_handshake(self, request):
            hook(request)
    try:
        handshaker(request, Hooks()).do_handshake()
    except Exception as e:
        return type(e).__name__, getattr(e, 'status', '-')
    return (request.connection.written, request.ws_resource, request.ws_version, request.ws_origin, request.ws_protocol,
            request.ws_requested_protocols, request.ws_close_code, request.extra_headers, type(request.ws_stream).__name__,
            len(request.ws_extension_processors), getattr(request, '_accept', '-'))


class Lower(base.HandshakerBase):
    """The shape of a web server's handshake over HTTP/2."""

    def _transform_header(self, header):
        return header.lower()

    def _protocol_rfc(self):
        return 'RFC8441'

    def _validate_request(self):
        base.validate_mandatory_header(self._request, 'upgrade', 'websocket')

    def _set_accept(self):
        pass

    def _send_handshake(self):
        self._request.connection.write(b'mine')


def lower(**headers):
    return shaken(Lower, drop=['Sec-WebSocket-Version', 'Upgrade'],
                  **dict({'upgrade': 'websocket', 'sec_websocket_version': '13'}, **headers))


def options(*arguments, config=None):
    """What the command line comes to, as far as the original knows it."""
    from pywebsocket3 import standalone
    with tempfile.NamedTemporaryFile('w') as file_:
        if config is not None:
            file_.write(config)
            file_.flush()
            arguments = ('--config', file_.name) + arguments
        given, rest = standalone._parse_args_and_config(list(arguments))
    return [(name, getattr(given, name)) for name in OPTIONS], rest, given.config_file is None


OPTIONS = (
    'allow_handlers_outside_root_dir', 'basic_auth_credential', 'certificate', 'cgi_paths', 'deflate_log_level',
    'document_root', 'handler_encoding', 'log_count', 'log_file', 'log_level', 'log_max', 'port', 'private_key',
    'request_queue_size', 'scan_dir', 'server_host', 'thread_monitor_interval_in_sec', 'tls_client_auth',
    'tls_client_ca', 'tls_client_cert_optional', 'use_basic_auth', 'use_tls', 'validation_host', 'validation_port',
    'websock_handlers', 'websock_handlers_map_file')


def tried(text):
    try:
        return repr(eval(text, globals()))
    except (Exception, SystemExit) as e:
        return 'raises ' + type(e).__name__


print(json.dumps([tried(text) for text in json.load(sys.stdin)]))
