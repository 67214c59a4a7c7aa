from mod_pywebsocket.msgutil import *

__all__ = [
    'BadOperationException',
    'ConnectionTerminatedException',
    'InvalidFrameException',
    'MessageReceiver',
    'MessageSender',
    'UnsupportedFrameException',
    'close_connection',
    'receive_message',
    'send_message',
    'send_ping',
]
