"""The log as JSON: one object a line with ``time``, ``level``, ``connection``, ``event`` and ``fields``."""

import contextvars
import itertools
import json
import logging
import time

from mod_pywebsocket._metrics import close_code

# The number of the connection that the running thread or task serves.
_connection = contextvars.ContextVar('connection', default=None)


class Formatter(logging.Formatter):
    """Makes a record a line. What a traceback has of lines stays inside of one field."""

    def format(self, record):
        message, begins, trace = record.getMessage().partition('Traceback (most recent call last):')
        fields = dict(getattr(record, 'fields', ()), logger=record.name, message=message.rstrip())
        if record.exc_info:
            fields['exception'] = self.formatException(record.exc_info)
        elif begins:
            fields['exception'] = begins + trace
        seconds = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))
        return json.dumps({
            'time': '%s.%03dZ' % (seconds, record.msecs),
            'level': record.levelname.lower(),
            'connection': getattr(record, 'connection', _connection.get()),
            'event': getattr(record, 'event', 'log'),
            'fields': fields,
        }, default=repr)


class Connections:
    """Numbers the connections of a server, and logs when their WebSockets open and close."""

    def __init__(self):
        self._numbers = itertools.count(1)
        self._logger = logging.getLogger(__name__)

    def began(self, handler):
        handler._connection_number = next(self._numbers)
        _connection.set(handler._connection_number)

    def ended(self, handler):
        """What is still said of it on this thread keeps its number."""

    def opened(self, request):
        request._connection_number = request._request_handler._connection_number
        self._say(request, 'open', resource=request.ws_resource, peer=request.connection.remote_addr[0],
                  origin=request.ws_origin, subprotocol=request.ws_protocol)

    def closed(self, request):
        traffic = request.connection._line.traffic()
        self._say(request, 'close', code=close_code(request), received_messages=traffic[2],
                  received_bytes=traffic[3], sent_messages=traffic[4], sent_bytes=traffic[5])

    def stop(self):
        """Nothing runs here."""

    def _say(self, request, event, **fields):
        self._logger.info('%s', event, extra={
            'event': event, 'connection': request._connection_number, 'fields': fields})
