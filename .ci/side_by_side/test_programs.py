"""The server as a program: options that are wrong, and what status it ends with (contract 15)."""

import subprocess

import pytest

import pair

# An option may name what is not there, or want what is not given; each ends the program before it serves.
ARGUMENTS = [
    ['-h'], ['extra'], ['--no-such-option'], ['-p', 'x'], ['-p'], ['--log-level', 'loud'], ['--log_level', 'fine', 'extra'],
    ['--deflate-log-level', 'fine'], ['-t'], ['-t', '-k', 'key'], ['-t', '-c', 'certificate'], ['--tls-client-auth'],
    ['--tls-client-cert-optional'], ['-t', '-k', 'a', '-c', 'b', '--tls-client-cert-optional'],
    ['-t', '-k', '/no/key', '-c', '/no/certificate'], ['-d', '/no/such/directory'], ['-s', '/'],
    ['-m', '/no/such/file'], ['-l', '/no/such/directory/log'], ['--config', '/no/such/file'], ['--config', 'empty.ini'],
    ['-w', 'latin', '--handler-encoding', 'ascii'], ['-w', 'latin', '--handler-encoding', 'no-such-codec'],
    ['-w', 'exits'], ['-H', 'nowhere.invalid'], ['-q', 'x'], ['--thread-monitor-interval-in-sec', 'x'],
]


@pytest.mark.parametrize('arguments', ARGUMENTS, ids=' '.join)
def test_both_programs_end_with_the_same_status(pythons, tmp_path, arguments):
    (tmp_path / 'empty.ini').write_text('[other]\n')
    (tmp_path / 'latin').mkdir()
    (tmp_path / 'latin' / 'a_wsh.py').write_bytes(b'# caf\xe9\n')
    (tmp_path / 'exits').mkdir()
    (tmp_path / 'exits' / 'a_wsh.py').write_text('raise SystemExit(7)\n')
    processes = [subprocess.Popen([python, '-W', 'ignore', '-m', 'pywebsocket3.standalone', '-p', '0', *arguments], cwd=tmp_path,
                                  env=pair.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for python in pythons]
    said = [process.communicate(timeout=60) for process in processes]
    assert processes[0].returncode == processes[1].returncode, said
    # Usage goes to stdout, complaints to stderr.
    assert [bool(stream) for stream in said[0]] == [bool(stream) for stream in said[1]], said
