"""Changes what the client's offers of extensions became, before the answer and after it."""

from mod_pywebsocket import common, extensions


class Shouting(extensions.ExtensionProcessorInterface):
    """An extension of one's own: everything that leaves is in capitals, everything that comes is not."""

    def name(self):
        return 'x-shouting'

    def _get_extension_response_internal(self):
        return common.ExtensionParameter('x-shouting')

    def _setup_stream_options_internal(self, stream_options):
        processor = self

        class Outgoing:
            def filter(self, frame):
                frame.payload = frame.payload.upper()

        class Incoming:
            def filter(self, frame):
                processor.frames += 1
                frame.payload = frame.payload.lower()

        self.frames = 0
        stream_options.outgoing_frame_filters.append(Outgoing())
        stream_options.incoming_frame_filters.append(Incoming())


def _wish(request):
    return request.ws_resource.partition('?')[2]


def _deflate(request):
    for processor in request.ws_extension_processors:
        if isinstance(processor, extensions.PerMessageDeflateExtensionProcessor):
            assert processor.name() == 'deflate'
            return processor
    return None


def web_socket_do_extra_handshake(request):
    wish, deflate = _wish(request), _deflate(request)
    request.deflate = deflate
    if wish == 'none':
        request.ws_extension_processors = [None]
    elif wish == 'empty':
        request.ws_extension_processors = []
    elif wish == 'only':
        request.ws_extension_processors = [deflate]
    elif wish == 'inactive':
        deflate.set_active(False)
    elif wish == 'window':
        deflate.set_client_max_window_bits(10)
        deflate.set_client_no_context_takeover(True)
    elif wish == 'too-early':
        deflate.set_bfinal(True)
    elif wish == 'shouting':
        request.shouting = Shouting(common.ExtensionParameter('x-shouting'))
        request.ws_extension_processors = [request.shouting]
    elif wish == 'registered':
        assert [type(processor).__name__ for processor in request.ws_extension_processors] == ['Registered']


def web_socket_transfer_data(request):
    wish = _wish(request)
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        if wish == 'bfinal':
            request.deflate.set_bfinal(True)
        elif wish == 'switched':
            request.deflate.disable_outgoing_compression()
            request.ws_stream.send_message(message)
            request.deflate.enable_outgoing_compression()
        elif wish == 'shouting':
            message = '%s %d' % (message, request.shouting.frames)
        elif wish == 'fragments':
            request.ws_stream.send_message(message, end=False)
            message = '.'
        request.ws_stream.send_message(message)


class Registered(Shouting):
    pass


# Known to every handler of this server from now on.
extensions._available_processors['x-shouting'] = Registered
