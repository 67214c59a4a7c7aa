"""Handler files: which are read, what is said of the bad ones, and what resources they serve."""

import os

import pytest
from conftest import ECHO

from mod_pywebsocket import dispatch, websocket_server

GOOD = '''
def web_socket_do_extra_handshake(request): pass
def web_socket_transfer_data(request): pass
'''


@pytest.fixture
def write(tmp_path):
    def write_files(files):
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return str(tmp_path)

    return write_files


def test_resources_follow_paths(write):
    root = write({'a_wsh.py': GOOD, 'sub/dir/b_wsh.py': GOOD, '_wsh.py': GOOD, 'no.py': 'raise SystemExit',
                  'X_WSH.py': GOOD, 'c_wsh.pyc': 'x'})
    dispatcher = dispatch.Dispatcher(root)
    assert sorted(dispatcher._handler_suite_map) == ['/', '/a', '/sub/dir/b']
    assert dispatcher.source_warnings() == []


def test_bad_files_are_told_and_skipped(write, tmp_path):
    root = write({
        'good_wsh.py': GOOD, 'syntax_wsh.py': 'def x(:\n', 'import_wsh.py': 'import no_such_module_here\n',
        'raises_wsh.py': '\n1 / 0\n', 'one_wsh.py': 'def web_socket_transfer_data(request): pass\n',
        'two_wsh.py': 'def web_socket_do_extra_handshake(request): pass\n',
        'three_wsh.py': 'web_socket_do_extra_handshake = 5\ndef web_socket_transfer_data(request): pass\n',
    })
    dispatcher = dispatch.Dispatcher(root)
    assert list(dispatcher._handler_suite_map) == ['/good']
    warnings = {os.path.basename(warning.partition(': ')[0]): warning.partition(': ')[2]
                for warning in dispatcher.source_warnings()}
    assert warnings.pop('one_wsh.py') == 'web_socket_do_extra_handshake is not defined.'
    assert warnings.pop('two_wsh.py') == 'web_socket_transfer_data is not defined.'
    assert warnings.pop('three_wsh.py') == 'web_socket_do_extra_handshake is not callable.'
    for name, (line, what) in {'syntax_wsh.py': (1, 'SyntaxError'), 'import_wsh.py': (1, 'ModuleNotFoundError'),
                               'raises_wsh.py': (2, 'ZeroDivisionError')}.items():
        warning = warnings.pop(name)
        assert warning.startswith('Error in sourcing handler:Traceback ')
        assert 'File "%s", line %d' % (os.path.realpath(tmp_path / name), line) in warning and what in warning
    assert not warnings


def test_what_is_no_exception_ends_everything(write):
    with pytest.raises(SystemExit):
        dispatch.Dispatcher(write({'exit_wsh.py': 'raise SystemExit'}))
    with pytest.raises(LookupError):
        dispatch.Dispatcher(write({'exit_wsh.py': GOOD}), handler_encoding='no-such-codec')


def test_a_handler_runs_in_a_bare_namespace(write):
    root = write({'a_wsh.py': GOOD + 'assert __name__ == "builtins" and "__file__" not in globals()'})
    assert dispatch.Dispatcher(root).source_warnings() == []


def test_encodings(write, tmp_path):
    root = write({})
    (tmp_path / 'a_wsh.py').write_bytes((GOOD + 'word = "ж"').encode('cp1251'))
    assert '/a' in dispatch.Dispatcher(root, handler_encoding='cp1251')._handler_suite_map
    with pytest.raises(UnicodeDecodeError):
        dispatch.Dispatcher(root, handler_encoding='utf-8')


def test_only_the_scan_directory_is_read(write, tmp_path):
    root = write({'a_wsh.py': GOOD, 'sub/b_wsh.py': GOOD, 'subway/c_wsh.py': GOOD})
    assert list(dispatch.Dispatcher(root, str(tmp_path / 'sub'))._handler_suite_map) == ['/sub/b']
    with pytest.raises(dispatch.DispatchException):
        dispatch.Dispatcher(str(tmp_path / 'sub'), root)
    with pytest.raises(dispatch.DispatchException):
        dispatch.Dispatcher(str(tmp_path / 'sub'), str(tmp_path / 'subway'))


def test_links_out_of_the_directory(write, tmp_path):
    write({'outside/a_wsh.py': GOOD, 'root/b_wsh.py': GOOD})
    (tmp_path / 'root' / 'a_wsh.py').symlink_to(tmp_path / 'outside' / 'a_wsh.py')
    (tmp_path / 'root' / 'linked').symlink_to(tmp_path / 'outside')
    root = str(tmp_path / 'root')
    assert sorted(dispatch.Dispatcher(root)._handler_suite_map) == ['/a', '/b']
    assert sorted(dispatch.Dispatcher(root, None, False)._handler_suite_map) == ['/b']


def test_a_suite_is_found_by_its_path(write):
    dispatcher = dispatch.Dispatcher(write({'a_wsh.py': GOOD}))
    suite = dispatcher.get_handler_suite('/a')
    assert suite is not None
    assert dispatcher.get_handler_suite('/a?b#') is suite and dispatcher.get_handler_suite('/a#') is suite
    assert dispatcher.get_handler_suite('/b#c') is None and dispatcher.get_handler_suite('/a/') is None
    with pytest.raises(dispatch.DispatchException) as failure:
        dispatcher.get_handler_suite('/a#b')
    assert failure.value.status == 400


def test_an_embedder_may_fill_the_map_alone():
    calls = []

    class Mine(dispatch.Dispatcher):
        def __init__(self):
            self._logger = None
            self._source_warnings = []
            self._handler_suite_map = {'/x': dispatch._HandlerSuite(calls.append, calls.append, lambda _: (1, 'r'))}

    class Request:
        ws_resource = '/x?y'
        server_terminated = True

    request = Request()
    Mine().do_extra_handshake(request)
    Mine().transfer_data(request)
    assert calls == [request, request]
    assert Mine().passive_closing_handshake(request) == (1, 'r')


def test_a_map_file(write, tmp_path, caplog):
    dispatcher = dispatch.Dispatcher(write({'a_wsh.py': ECHO}))
    (tmp_path / 'map').write_text('# comment\n\n  \n/b /a\n/c\t/b\n/f /a \n/d /nowhere\n/e /a /more\n one\n')
    with caplog.at_level('WARNING'):
        websocket_server._alias_handlers(dispatcher, str(tmp_path / 'map'))
    assert sorted(dispatcher._handler_suite_map) == ['/a', '/b', '/c']
    assert [record.levelname for record in caplog.records] == ['WARNING', 'ERROR', 'WARNING', 'WARNING']


NEVER = 'def web_socket_do_extra_handshake(request):\n    pass\n\n\n'


@pytest.mark.parametrize('parameters, count', [
    ('', 0), ('request, more', 2), ('request, *, named', 2), ('a, b, c=1', 3), ('*, named', 1)])
def test_a_wrong_number_of_parameters_is_warned_of_with_its_line(tmp_path, parameters, count):
    path = tmp_path / 'odd_wsh.py'
    path.write_text(NEVER + 'def web_socket_transfer_data(%s):\n    pass\n' % parameters)
    dispatcher = dispatch.Dispatcher(str(tmp_path))
    assert dispatcher.source_warnings() == [
        '%s: line 5: web_socket_transfer_data takes %d parameters; it is called with one, the request'
        % (path.resolve(), count)]
    # Calling it fails as it always has.
    assert dispatcher.get_handler_suite('/odd')


@pytest.mark.parametrize('parameters', ['r', 'r, more=1', '*a', '*a, **b', 'r, *, named=1', 'r=None'])
def test_whatever_takes_one_argument_is_good(tmp_path, parameters):
    (tmp_path / 'good_wsh.py').write_text(NEVER + 'def web_socket_transfer_data(%s):\n    pass\n' % parameters)
    assert dispatch.Dispatcher(str(tmp_path)).source_warnings() == []


def test_callables_of_other_kinds_are_taken_as_they_are(tmp_path):
    (tmp_path / 'good_wsh.py').write_text(
        NEVER + 'class Hook:\n    def __call__(self, request):\n        pass\nweb_socket_transfer_data = Hook()\n')
    assert dispatch.Dispatcher(str(tmp_path)).source_warnings() == []


def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path):
    good = NEVER + 'def web_socket_transfer_data(request):\n    pass\n'
    (tmp_path / 'bad_wsh.py').write_bytes(good.encode() + b'# caf\xe9\n')
    with pytest.raises(UnicodeDecodeError, match='in line 7 of .*bad_wsh.py'):
        dispatch.Dispatcher(str(tmp_path), handler_encoding='utf-8')
    assert dispatch.Dispatcher(str(tmp_path), handler_encoding='latin-1').source_warnings() == []


@pytest.mark.parametrize('passive', ['5', 'None', '""'])
def test_a_third_function_that_cannot_be_called_counts_as_none(passive):
    suite = dispatch._source_handler_file(GOOD + 'web_socket_passive_closing_handshake = ' + passive)
    assert suite.passive_closing_handshake(None) == (1000, '')
