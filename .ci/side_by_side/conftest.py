"""Both servers, each with the same files, and what every case came to on each of them."""

import functools
import pathlib
import sys
import tempfile
import threading

import pytest

import cases
import outcome
import pair
import tree


class Side:
    """One implementation: its servers, and what each conversation came to."""

    def __init__(self, python, trees, journals, tls):
        self._python = python
        self._trees = trees
        self._journals = journals
        self._tls = tls
        self._servers = []
        self._talks = {}
        # What was logged before the first conversation, by the group that a server has first.
        self.startup = {}

    def talk(self):
        """Has all conversations, one after the other."""
        for groups, options in cases.SERVERS:
            journal = self._journals / (groups[0] + '.journal')
            server = pair.Server(self._python, self._trees['options' in groups], journal, *options,
                                    tls=self._tls if 'tls' in groups else None)
            self._servers.append(server)
            self.startup[groups[0]] = sorted(outcome.of_log(server.logged().get(None, [])))
            for name, steps in cases.CASES.items():
                if name.partition('/')[0] in groups:
                    self._talks[name] = (server,) + server.converse(steps)

    def outcome(self, name):
        """In words; the log is read again each time, for it may be late."""
        server, received, end, port = self._talks[name]
        assert end != 'silence', 'nothing came for %d seconds: %r' % (pair.wire.PATIENCE, received)
        return outcome.of(server, received, end, server.logged().get(port, []))

    def stop(self):
        for server in self._servers:
            server.stop()


@pytest.fixture(scope='session')
def pythons():
    """The interpreters: the original's, ours."""
    return pair.original_python(), sys.executable


@pytest.fixture(scope='session')
def sides(pythons):
    """Both sides after all conversations: the original's, ours."""
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        # Scripts run as nobody when the server is root.
        home.chmod(0o755)
        trees = {}
        for for_options in (False, True):
            trees[for_options] = home / ('options' if for_options else 'plain')
            trees[for_options].mkdir()
            tree.build(trees[for_options], for_options)
        tls = tree.certify(trees[False])
        both = []
        for which, python in zip(('original', 'ours'), pythons):
            (home / which).mkdir()
            both.append(Side(python, trees, home / which, tls))
        failures = []
        threads = [threading.Thread(target=_caught, args=(side.talk, failures)) for side in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            if failures:
                raise failures[0]
            yield both
        finally:
            for side in both:
                side.stop()


def _caught(function, failures):
    try:
        function()
    except BaseException as e:
        failures.append(e)


@pytest.fixture(scope='session')
def in_both(pythons):
    """``in_both(script, data)``: what a program prints as JSON in each environment."""
    return functools.partial(pair.run_in_each, pythons)
