"""The same bytes to both servers: what comes back, how it ends, and what is logged."""

import time

import pytest

import cases
import differences
import outcome

# How long a log line may be late, in seconds.
PATIENCE = 10


@pytest.mark.parametrize('name', cases.CASES)
def test_both_servers_do_the_same(sides, name):
    expected = differences.of_case(name)
    end = time.monotonic() + PATIENCE
    while True:
        original, ours = (side.outcome(name) for side in sides)
        found = outcome.change(original, ours)
        if found == expected or time.monotonic() > end:
            break
        time.sleep(0.1)  # until the log is whole
    assert found == expected, '\noriginal: %r\n    ours: %r' % (original, ours)


@pytest.mark.parametrize('group', [groups[0] for groups, _ in cases.SERVERS])
def test_both_servers_say_the_same_of_bad_handlers(sides, group):
    original, ours = (side.startup[group] for side in sides)
    assert any('no_first_wsh.py: web_socket_do_extra_handshake is not defined.' in line for line in original) or (
        group == 'options')
    # Ours looks at the parameters too; see differences.BEYOND.
    warned = [line for line in ours if line.endswith(' takes 0 parameters; it is called with one, the request, no traceback')]
    assert len(warned) == (0 if group == 'options' else 2)
    assert [line for line in ours if line not in warned] == original
