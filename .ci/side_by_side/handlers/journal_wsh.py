"""Writes what the server logs into the file that JOURNAL names, a record a line, with the client's port."""

import json
import logging
import os
import sys
import threading

_lock = threading.Lock()


def _port_of(frame):
    """The port of the client that this frame, or one that called it, serves."""
    while frame is not None:
        address = frame.f_locals.get('client_address')
        if isinstance(address, tuple):
            return address[1]
        frame = frame.f_back
    return None


def _write(**record):
    with _lock, open(os.environ['JOURNAL'], 'a') as journal:
        journal.write(json.dumps(record) + '\n')


class _Journal(logging.Handler):
    def emit(self, record):
        _write(port=_port_of(sys._getframe()), level=record.levelname, logger=record.name.rpartition('.')[2],
               text=record.getMessage())


def _thread_died(args):
    frames = []
    at = args.exc_traceback
    while at is not None:
        frames.append(at.tb_frame)
        at = at.tb_next
    ports = [_port_of(frame) for frame in frames]
    _write(port=next((port for port in ports if port), None), level='THREAD', logger=args.exc_type.__name__, text='')


if 'JOURNAL' in os.environ:
    logging.getLogger().addHandler(_Journal())
    threading.excepthook = _thread_died


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    pass
