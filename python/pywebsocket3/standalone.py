#!/usr/bin/env python
"""The same module, and the same program, as ``mod_pywebsocket.standalone``."""

import os
import sys

# Run by its path, this directory would come first, and its modules have names of others.
if __name__ == '__main__' and sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
    del sys.path[0]

from mod_pywebsocket import standalone

if __name__ == '__main__':
    standalone._main()
else:
    sys.modules[__name__] = standalone
