"""Every name of the original's modules is in ours, with the same parameters."""

import pathlib

import differences

HERE = pathlib.Path(__file__).resolve().parent


def test_ours_has_the_names_of_the_original(in_both):
    original, ours = in_both(HERE / 'surface.py')
    assert len(original) > 400
    assert sorted(name for name in original if name not in ours) == differences.of_surface('missing')
    changed = {name: (what, ours[name]) for name, what in original.items() if ours.get(name, what) != what}
    assert sorted(changed) == differences.of_surface('changed'), changed


def test_both_names_are_the_same_modules():
    import importlib
    for name in ('common', 'stream', 'msgutil', 'util', 'handshake', 'handshake.base', 'handshake.hybi', 'handshake._base',
                 'dispatch', 'extensions', 'http_header_util', 'memorizingfile', 'request_handler', 'server_util',
                 'standalone', 'websocket_server', '_stream_base', '_stream_hybi', '_stream_exceptions'):
        one, other = (importlib.import_module('%s.%s' % (package, name)) for package in ('mod_pywebsocket', 'pywebsocket3'))
        assert one is other
