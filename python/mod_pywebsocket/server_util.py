"""Logging of the stand-alone server, and a thread that counts threads."""

import logging
import threading
import time

from mod_pywebsocket import common, util

_FORMAT = '[%(asctime)s] [%(levelname)s] %(name)s: %(message)s'


# What moves a terminal's cursor, ends a line where nobody sees it, or hides what follows; ends of lines are those of
# tracebacks.
_CONTROLS = {code: '\\x%02x' % code for code in (*range(0x20), *range(0x7f, 0xa0)) if chr(code) not in '\t\n'}
_CONTROLS.update({code: '\\u%04x' % code for code in (0x2028, 0x2029, *range(0x202a, 0x202f), *range(0x2066, 0x206a))})


class _Formatter(logging.Formatter):
    """Shows control characters, which clients may have sent, as escapes; only a record begins with a bracket."""

    def format(self, record):
        line = logging.Formatter.format(self, record)
        return line if line.isprintable() else line.translate(_CONTROLS).replace('\n[', '\n [')


def _get_logger_from_class(c):
    """The logger named after a class."""
    return logging.getLogger('%s.%s' % (c.__module__, c.__name__))


def configure_logging(options):
    """Sets levels and the place of the log as ``log_level``, ``log_file`` and the like say."""
    logging.addLevelName(common.LOGLEVEL_FINE, 'FINE')
    root = logging.getLogger()
    root.setLevel(logging.getLevelName(options.log_level.upper()))
    if options.log_file:
        from logging.handlers import RotatingFileHandler
        handler = RotatingFileHandler(options.log_file, 'a', options.log_max, options.log_count)
    else:
        handler = logging.StreamHandler()
    if getattr(options, 'json_log', False):
        from mod_pywebsocket import _json_log
        handler.setFormatter(_json_log.Formatter())
    else:
        handler.setFormatter(_Formatter(_FORMAT))
    root.addHandler(handler)

    deflate_level = logging.getLevelName(options.deflate_log_level.upper())
    _get_logger_from_class(util._Deflater).setLevel(deflate_level)
    _get_logger_from_class(util._Inflater).setLevel(deflate_level)


class ThreadMonitor(threading.Thread):
    """Logs how many threads there are, and their names, again and again."""

    daemon = True

    def __init__(self, interval_in_sec):
        threading.Thread.__init__(self, name='ThreadMonitor', daemon=True)
        self._logger = util.get_class_logger(self)
        self._interval_in_sec = interval_in_sec

    def run(self):
        """The thread's work."""
        while True:
            threads = threading.enumerate()
            self._logger.info('%d active threads: %s', threading.active_count(),
                              ', '.join(thread.name for thread in threads))
            time.sleep(self._interval_in_sec)
