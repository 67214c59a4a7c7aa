"""The page for those who come from pywebsocket has the table of differences, word for word."""

import differences
import pair

PAGE = pair.ROOT / 'docs' / 'coming-from-pywebsocket.md'


def test_the_page_has_the_table():
    assert '\n' + differences.table() + '\n' in PAGE.read_text()


def test_every_listed_case_exists():
    import cases
    import test_calls
    assert set(differences._CASES) <= set(cases.CASES)
    assert set(differences._CALLS) <= set(test_calls.EXPRESSIONS)
