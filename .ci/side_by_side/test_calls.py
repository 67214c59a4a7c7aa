"""What the modules' functions and classes give when they are called, in both environments."""

import pathlib

import pytest

import differences

HERE = pathlib.Path(__file__).resolve().parent
EXPRESSIONS = (HERE / 'expressions.txt').read_text().splitlines()


@pytest.fixture(scope='module')
def given(in_both):
    """What each expression gives: the original, ours."""
    return dict(zip(EXPRESSIONS, zip(*in_both(HERE / 'calls.py', EXPRESSIONS))))


@pytest.mark.parametrize('text', EXPRESSIONS)
def test_a_call_gives_the_same(given, text):
    original, ours = given[text]
    expected = differences.of_call(text)
    found = ('', '') if original == ours else (original, ours)
    assert found == expected
