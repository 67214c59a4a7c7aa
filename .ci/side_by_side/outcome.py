"""What a conversation came to, as data that can be compared and printed."""

import difflib
import re

import wire

# How many lines of a difference are shown, and so compared with the table.
_SHOWN = 3


def change(original, ours):
    """What is in one outcome only and what in the other only, each as one line."""
    gone, come = [], []
    for tag, i, j, k, l in difflib.SequenceMatcher(None, original, ours, autojunk=False).get_opcodes():
        if tag != 'equal':
            gone += original[i:j]
            come += ours[k:l]
    return tuple('; '.join(side[:_SHOWN] + ['...'] * (len(side) > _SHOWN)) for side in (gone, come))


def of(server, received, end, records):
    """Words for what came back, how the connection ended, and what was logged."""
    received = re.sub(rb'(?m)^Date: [^\r\n]*', b'Date: *', received)
    received = re.sub(rb'Python/[0-9.]+', b'Python/*', received.replace(b'%d' % server.port, b'<port>'))
    return wire.in_words(received) + [end] + of_log(records)


def of_log(records):
    """Words for what was logged."""
    return [line for line in map(_record, records) if line]


def _record(record):
    """A log record without what each server words for itself; ``None`` for what does not matter.

    Below WARNING the level and the logger are compared, and the lines that tell of each answer; of DEBUG only
    the handler's end, which is logged by the dispatcher.
    """
    level, logger, text = record['level'], record['logger'], record['text']
    place = level + ' ' + logger
    if level == 'DEBUG':
        return place if logger == 'Dispatcher' else None
    if level == 'INFO':
        return place + ' ' + text if text.startswith('"') else None
    lines = text.strip().split('\n')
    if text.startswith('Warning in source loading: '):
        return '%s %s, %s' % (place, lines[0], lines[-1].partition(':')[0] if len(lines) > 1 else 'no traceback')
    if len(lines) > 1:
        # Of a traceback, the exception, and whose words it begins with.
        kind, _, message = lines[-1].partition(': ')
        hook = re.match(r'web_socket_\w+ raised exception for [^ ]*: ', message)
        return '%s %s: %s' % (place, kind.rpartition('.')[2], hook.group() if hook else '')
    code = re.search(r' - code \d+, message .*', text)
    return place + code.group() if code else place
