"""``python -m linkspan``: talk to WebSocket servers, and be one."""

import sys

_HELP = """\
usage: python -m linkspan COMMAND ...

Talk to WebSocket servers, and be one.

commands:
  connect URL              lines that are typed, or come through a pipe, are sent; messages that come are printed
  serve [DIR] [OPTIONS]    serves the handlers (*_wsh.py) and files of a directory, this one unless another is named,
                           at localhost:9998; the options are those of python -m mod_pywebsocket.standalone

options:
  -h, --help     also of each command: python -m linkspan connect --help
  --version      the version of linkspan

examples:
  python -m linkspan serve examples/python
  python -m linkspan connect ws://localhost:9998/echo
  echo hello | python -m linkspan connect -1 ws://localhost:9998/echo
"""


def main(arguments=None):
    """Runs a command; its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command, rest = (arguments[0], arguments[1:]) if arguments else ('', [])
    if command == 'connect':
        from linkspan import _connect_command
        return _connect_command.main(rest)
    if command == 'serve':
        return _serve(rest)
    if command in ('-h', '--help', 'help'):
        sys.stdout.write(_HELP)
        return 0
    if command in ('-V', '--version'):
        from linkspan import __version__
        print('linkspan ' + __version__)
        return 0
    sys.stderr.write('linkspan: there is no command %r; connect and serve are\n' % command if command else _HELP)
    return 2


def _serve(arguments):
    import os

    from mod_pywebsocket import _serving, standalone
    directory = '.'
    if arguments and not arguments[0].startswith('-'):
        directory, *arguments = arguments
    # The server goes to the directory of its documents, and looks for that of the handlers from there.
    directory = os.path.abspath(directory)
    parser = standalone._build_option_parser()
    parser.prog, parser.usage = 'python -m linkspan serve', '%(prog)s [DIR] [OPTIONS]'
    parser.description = ('Serves the handlers (*_wsh.py) and files of a directory, this one unless another is named, '
                          'at localhost:9998.')
    parser.set_defaults(server_host='localhost', port=9998, websock_handlers=directory, document_root=directory)
    _serving.serve(lambda: standalone._prepared(arguments, parser), standalone._die, says_where=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
