"""Certificates and keys that cannot be used, or that no client will accept."""

import datetime
import ssl
from pathlib import Path

import pytest
from conftest import ECHO, text
from test_standalone import run


def days(count):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=count, hours=1)


@pytest.mark.parametrize('begins, ends, says', [
    (-20, -10, 'expired 9 days ago'), (10, 20, 'is not valid for another 10 days'), (-10, 10, None),
], ids=['expired', 'early', 'valid'])
def test_a_certificate_that_is_out_of_date_is_one_warning(start, tmp_path, trusting, begins, ends, says):
    import trustme
    issued = trustme.CA().issue_cert('localhost', not_before=days(begins), not_after=days(ends))
    chain, key = tmp_path / 'chain.pem', tmp_path / 'key.pem'
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    server = start({'echo': ECHO}, '-t', '-k', str(key), '-c', str(chain))
    # It serves: who does not look at dates, as many a test does not, is let in.
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with server.connect(trusting) as client:
        client.upgrade()
        client.send(text('a'))
        assert client.read_frame() == (0x81, b'a')
    log = server.log()
    if says is None:
        assert log == ''
    else:
        assert log.count('\n') == 1 and 'WARNING' in log and str(chain) in log and says in log


@pytest.mark.parametrize('option', ['-k', '-c', '--tls-client-ca'])
@pytest.mark.parametrize('kind', ['empty', 'no PEM', 'half PEM', 'not base64', 'other kind', 'directory', 'not there'])
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, certificates, option, kind):
    path = tmp_path / 'file'
    if kind == 'directory':
        path.mkdir()
    elif kind != 'not there':
        certificate, key = (Path(certificates[name]).read_text() for name in ('server', 'server_key'))
        label = 'PRIVATE KEY' if option == '-k' else 'CERTIFICATE'
        path.write_text({
            'empty': '', 'no PEM': 'certificate\n\0\xff', 'half PEM': certificate[:len(certificate) // 3],
            'not base64': '-----BEGIN %s-----\n!!!!\n-----END %s-----\n' % (label, label),
            'other kind': certificate if option == '-k' else key}[kind])
    files = {'-k': certificates['server_key'], '-c': certificates['server'], '--tls-client-ca': certificates['ca'],
             option: path}
    status, said = run('-p', '0', '-t', '--tls-client-auth', *(str(word) for pair in files.items() for word in pair))
    assert status == 1 and said.count('\n') == 1 and str(path) in said


def test_a_key_of_another_certificate_is_one_line(certificates):
    status, said = run('-p', '0', '-t', '-k', certificates['client_key'], '-c', certificates['server'])
    assert status == 1 and said.count('\n') == 1 and 'does not fit' in said


@pytest.mark.parametrize('form', ['PKCS8', 'TraditionalOpenSSL'])
def test_an_encrypted_key_is_one_line(tmp_path, certificates, form):
    from cryptography.hazmat.primitives import serialization
    with open(certificates['server_key'], 'rb') as file:
        key = serialization.load_pem_private_key(file.read(), None)
    path = tmp_path / 'key'
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form),
                                       serialization.BestAvailableEncryption(b'secret')))
    status, said = run('-p', '0', '-t', '-k', str(path), '-c', certificates['server'])
    assert status == 1 and said.count('\n') == 1 and 'encrypted' in said and str(path) in said
