"""The directory that both servers serve: handlers, good and broken, files, scripts, a certificate."""

import os
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent

GOOD = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.ws_stream.send_message(__name__)
'''

# Handler files that cannot be used, or hardly (contract 11), by their paths below the handlers' directory.
HANDLERS = {
    'syntax_wsh.py': 'def web_socket_do_extra_handshake(request:\n',
    'raises_wsh.py': 'raise ValueError("mine")\n',
    'imports_wsh.py': 'import no_such_module\n',
    'relative_wsh.py': 'from . import no_such_module\n',
    'file_wsh.py': 'here = __file__\n',
    'empty_wsh.py': '',
    'no_first_wsh.py': 'def web_socket_transfer_data(request):\n    pass\n',
    'no_second_wsh.py': 'def web_socket_do_extra_handshake(request):\n    pass\n',
    'first_is_number_wsh.py': GOOD + 'web_socket_do_extra_handshake = 5\n',
    'second_is_none_wsh.py': GOOD + 'web_socket_transfer_data = None\n',
    'badpassive_wsh.py': GOOD + 'web_socket_passive_closing_handshake = 5\n',
    'tabs_wsh.py': 'if True:\n        a = 1\n\tb = 2\n',
    'no_parameter_wsh.py': 'def web_socket_do_extra_handshake():\n    pass\n\ndef web_socket_transfer_data():\n    pass\n',
    'UPPER_WSH.py': GOOD,
    'upper_WSH.py': GOOD,
    'notes_wsh.txt': GOOD,
    'other.py': GOOD,
    '_wsh.py': GOOD,
    'sub/inner_wsh.py': GOOD,
    'sub/_wsh.py': GOOD,
    'dots.and-dashes_wsh.py': GOOD,
    'two words_wsh.py': GOOD,
    'per%63ent_wsh.py': GOOD,
    'marked_wsh.py': '\ufeff' + GOOD,
    'carriage_wsh.py': GOOD.replace('\n', '\r\n'),
    'declared_wsh.py': '# -*- coding: latin-1 -*-\n' + GOOD.replace('__name__', "'caf\xe9'"),
}
LATIN = GOOD.replace('__name__', "'caf\xe9'")
MAP = '''# a comment
/alias /sub/inner

/chain /alias
/tab\t/alias
/three /alias more
/unknown /nothing
  /blank /alias
/behind /alias\x20
#/comment /alias
one
'''
SCRIPT = '''#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
for name in SERVER_SOFTWARE SERVER_NAME GATEWAY_INTERFACE SERVER_PROTOCOL SERVER_PORT REQUEST_METHOD PATH_INFO \\
    PATH_TRANSLATED SCRIPT_NAME QUERY_STRING REMOTE_ADDR REMOTE_HOST AUTH_TYPE CONTENT_TYPE CONTENT_LENGTH \\
    HTTP_USER_AGENT HTTP_COOKIE HTTP_ACCEPT HTTP_REFERER HTTP_X_MINE; do
    eval "echo $name=\\$$name"
done
echo "arguments: $*"
echo "directory: $(basename "$(pwd)")"
echo "user: $(id -un)"
echo "body: $(head -c "${CONTENT_LENGTH:-0}")"
'''


def build(directory, for_options):
    """Fills the directory; nothing of it is secret, because scripts run as nobody.

    Two handlers are there only ``for_options``: one in another encoding, one linked from outside.
    """
    shutil.copytree(HERE / 'handlers', directory / 'handlers')
    for name, source in HANDLERS.items():
        path = directory / 'handlers' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    (directory / 'outside_wsh.py').write_text(GOOD)
    if for_options:
        (directory / 'handlers' / 'sub' / 'outside_wsh.py').symlink_to(directory / 'outside_wsh.py')
        (directory / 'handlers' / 'sub' / 'latin_wsh.py').write_text(LATIN, encoding='latin-1')
    (directory / 'handlers' / 'outside_wsh.py').symlink_to(directory / 'outside_wsh.py')
    (directory / 'handlers' / 'linked_wsh.py').symlink_to('echo_wsh.py')
    (directory / 'handlers' / 'linked_sub').symlink_to('sub')
    (directory / 'handlers.map').write_text(MAP)
    root = directory / 'root'
    for name, content in {
            'page.html': '<p>page</p>\n', 'image.svg': '<svg/>', 'data': 'data', 'code.js': '', 'empty.txt': '',
            'echo_wsh.py': 'source', 'directory/index.html': 'index', 'htm/index.htm': 'htm', 'list/a b.txt': 'a',
            'list/<c>.txt': '', 'list/sub/x': '', 'cgi/plain.txt': 'plain', 'cgi/off.py': SCRIPT,
            'cgi/sub/.keep': '', '../secret': 'secret', '../echo': 'outside'}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / 'linked.html').symlink_to('../secret')
    for name, source in {'cgi/hello.py': SCRIPT, 'cgi/sub/hello.py': SCRIPT, 'bin/hello.py': SCRIPT,
                         'list/hello.py': SCRIPT, 'cgi/fails.py': '#!/bin/sh\nexit 3\n',
                         'cgi/inherits.sh': '#!/bin/sh\necho\necho "JOURNAL is ${JOURNAL:+known}"\n'}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        path.chmod(0o755)
    for path in [directory, *directory.rglob('*')]:
        if path.is_dir():
            path.chmod(0o755)
        # One time for all, which is in answers.
        os.utime(path, (1e9, 1e9), follow_symlinks=False)


def certify(directory):
    """A certificate for localhost and its key; gives a client's context that trusts it."""
    import ssl

    import trustme
    authority = trustme.CA()
    issued = authority.issue_cert('localhost')
    (directory / 'server.pem').write_bytes(b''.join(pem.bytes() for pem in issued.cert_chain_pems))
    (directory / 'server.key').write_bytes(issued.private_key_pem.bytes())
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
