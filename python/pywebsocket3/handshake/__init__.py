"""The same package as ``mod_pywebsocket.handshake``."""

import sys

from mod_pywebsocket import handshake

# First the modules inside: looked up in the real package's directory, they would be made a second time.
for _name, _module in (('base', handshake.base), ('_base', handshake.base), ('hybi', handshake.hybi)):
    sys.modules[__name__ + '.' + _name] = _module
sys.modules[__name__] = handshake
