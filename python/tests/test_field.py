"""Handlers of the shapes that are in use, in `field`: each habit does on the wire what its owner relies on."""

import pathlib
import threading
import zlib

import pytest
from conftest import ACCEPT, Server, close, head, masked, text

FIELD = pathlib.Path(__file__).parent / 'field'
SWITCHING = b'HTTP/1.1 101 Switching Protocols\r\n'
UPGRADE = b'Upgrade: websocket\r\nConnection: Upgrade\r\n'
ACCEPTED = b'Sec-WebSocket-Accept: ' + ACCEPT.encode() + b'\r\n'


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp('root'), '-w', str(FIELD))
    yield server
    server.stop()


def logged(server, resource):
    """What the log says about a resource."""
    return [line for line in server.log().splitlines() if resource in line]


def test_none_has_a_warning(server):
    with server.connect() as client:
        client.upgrade('/handshakes')
    assert 'Warning' not in server.log()


# Handshakes by hand.


@pytest.mark.parametrize('wish, answer', [
    ('duplicate-accept', SWITCHING + UPGRADE + ACCEPTED * 2 + b'\r\n'),
    ('duplicate-protocol', SWITCHING + UPGRADE + ACCEPTED + b'Sec-WebSocket-Protocol: a\r\n' * 2 + b'\r\n'),
    ('no-accept', SWITCHING + UPGRADE + b'\r\n'),
    ('wrong-accept', SWITCHING + UPGRADE + b'Sec-WebSocket-Accept: not this\r\n\r\n'),
    ('folded', SWITCHING + UPGRADE + b'X-Folded: one\r\n  two\r\n' + ACCEPTED + b'\r\n'),
    ('bad-name', SWITCHING + UPGRADE + b'b\xe4d name: x\r\n' + ACCEPTED + b'\r\n'),
    ('two-hundred', b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'),
    ('redirect', b'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n'),
    ('bare-line-feeds', (SWITCHING + UPGRADE + ACCEPTED + b'\r\n').replace(b'\r\n', b'\n')),
    ('a-frame', b'\x81\x05hello'),
    ('no-end', SWITCHING + UPGRADE),
    ('nothing', b''),
])
def test_an_answer_by_hand_is_all_that_the_client_sees(server, wish, answer):
    assert server.answer(head('/handshakes?' + wish)) == answer


def test_a_handshake_and_a_close_by_hand(server):
    with server.connect() as client:
        client.upgrade('/handshakes?by-hand')
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''


def test_a_header_may_bring_another(server):
    with server.connect() as client:
        assert client.upgrade('/handshakes?cookies').endswith(
            b'\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nSet-Cookie: c=3\r\nX-None: None')


def test_a_handler_asks_for_a_password(server):
    assert server.answer(head('/handshakes?authorized')) == (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')
    with server.connect() as client:
        client.upgrade('/handshakes?authorized', Authorization='Basic bWU6d29yZA==')
        assert client.read_frame() == (0x81, b"'open'")


def test_a_subprotocol_that_nobody_asked_for_is_refused(server):
    assert server.answer(head('/handshakes?unasked')).startswith(b'HTTP/1.0 400 ')
    with server.connect() as client:
        answer = client.upgrade('/handshakes?not-asked-for', Sec_WebSocket_Protocol='p')
        assert b'Protocol:' not in answer


def test_a_handler_reads_the_lines_of_the_request(server):
    sent = head('/handshakes?attributes', X_Mine='1')
    with server.connect() as client:
        client.send(sent)
        client.read_head()
        first, said = client.read_frame()
    assert said.decode() == repr([line + '\r\n' for line in sent.decode().split('\r\n')[:-1]])


# Hooks that wait.


def test_a_stalled_client_is_told_from_one_that_left(server):
    with server.connect() as waiting:
        with server.connect() as stalled:
            stalled.send(head('/waiting?stall') + b'x' * 10000)
            waiting.send(head('/waiting?until-left'))
            # Both hooks wait, and others are served.
            with server.connect() as other:
                other.upgrade('/handshakes')
        assert waiting.read_head().startswith(b'HTTP/1.1 101 ')
        assert waiting.read_frame() == (0x81, b'left')


def test_a_sleeping_hook_keeps_nobody_else_waiting(server):
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(head('/waiting?until-woken'))
    with server.connect() as waker:
        waker.upgrade('/waiting?wake')
    for client in clients:
        assert client.read_head().startswith(b'HTTP/1.1 101 ')
        client.sock.close()


def test_a_close_may_be_answered_late(server):
    with server.connect() as late, server.connect() as slow, server.connect() as other:
        late.upgrade('/waiting?late-close')
        slow.upgrade('/waiting?slow-end')
        late.send(close(1000))
        slow.send(close(1000))
        assert slow.read_close() == 1000
        other.upgrade('/waiting?release')
        assert late.read_frame() == (0x88, b'\x0b\xb8late')
        # No second answer.
        assert slow.read_all() == late.read_all() == b''


# Frames by hand.


@pytest.mark.parametrize('wish, sent', [
    ('zero_length_text', b'\x81\x00' * 2),
    ('broken_utf8', b'\x81\x03\xc3\x28\xff'),
    ('reserved_opcodes', b'\x83\x01\x03\x87\x01\x07\x8b\x01\x0b\x8f\x01\x0f'),
    ('reserved_bits', b'\xc1\x00\xa1\x00\x91\x00'),
    ('long_control_frames', b''.join(first + b'\x7e\x00\x7e' + b'x' * 126 for first in (b'\x89', b'\x8a', b'\x88'))),
    ('fragmented_control_frames', b'\x09\x01p\x80\x01q'),
    ('interleaved_fragments', b'\x01\x04one \x01\x07between\x89\x04ping\x00\x04two \x8a\x04pong\x80\x05three'),
    ('too_long', b'\x82\x7f\x7f' + b'\xff' * 7),
    ('split', b'\x81\x09in pieces'),
    ('builder', b'\x01\x01a\x00\x01b\x80\x01c'),
    ('bytes_like', b'\x82\x01a\x82\x01b\x82\x01c\x82\x01d'),
    ('two_closes', b'\x88\x05\x03\xe8one\x88\x05\x03\xe9two'),
])
def test_frames_leave_as_they_were_written(server, wish, sent):
    with server.connect() as client:
        client.upgrade('/frames?' + wish)
        assert client.read_all() == sent
    assert not logged(server, '/frames?' + wish)


def test_a_server_may_mask_to_test_its_client(server):
    with server.connect() as client:
        client.upgrade('/frames?masked')
        frame = client.read_all()
    key, payload = frame[2:6], frame[6:]
    assert frame[:2] == b'\x82\x86' and bytes(a ^ b for a, b in zip(payload, key + key)) == b'secret'


# What the stream is made of.


def test_frames_are_read_as_they_came(server):
    with server.connect() as client:
        client.upgrade('/internals?frames')
        client.send(text('a', fin=False) + masked(0x89, b'p') + masked(0xbf, b'z' * 300))
        assert [client.read_frame()[1] for _ in range(3)] == [
            b"(1, b'a', 0, 0, 0, 0)", b"(9, b'p', 1, 0, 0, 0)", b"(15, b'%s', 1, 0, 1, 1)" % (b'z' * 300)]


def deflated(*messages):
    compressor = zlib.compressobj(wbits=-15)
    for message in messages:
        yield (compressor.compress(message.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_a_compressed_message_is_read_by_its_filters(server):
    one, two = deflated('first', 'second')
    with server.connect() as client:
        assert b'permessage-deflate' in client.upgrade(
            '/internals?filtered_frames', Sec_WebSocket_Extensions='permessage-deflate')
        client.send(masked(0xc1, one))
        inflater = zlib.decompressobj(-15)
        assert inflater.decompress(client.read_frame()[1] + b'\0\0\xff\xff') == b'first'
        client.send(masked(0xc1, two))
        assert inflater.decompress(client.read_frame()[1] + b'\0\0\xff\xff') == b'second'


def test_a_whole_frame_is_read_behind_its_filters(server):
    with server.connect() as client:
        client.upgrade('/internals?whole_frame', Sec_WebSocket_Extensions='permessage-deflate')
        client.send(masked(0xc2, *deflated('bytes')))
        first, payload = client.read_frame()
        assert first == 0xc1 and zlib.decompressobj(-15).decompress(payload + b'\0\0\xff\xff') == b'2 bytes'


def test_by_hand_and_by_the_library_are_one_message(server):
    with server.connect() as client:
        client.upgrade('/internals?half_a_message')
        client.send(text('é', fin=False) + masked(0x00, 'ü'.encode()) + masked(0x89) + masked(0x80, 'ß'.encode()))
        assert [client.read_frame() for _ in range(3)] == [(0x8a, b''), (0x81, 'éüß'.encode()), (0x81, b'1')]


def test_a_close_frame_is_processed_by_hand(server):
    with server.connect() as client:
        client.upgrade('/internals?close_by_hand')
        client.send(close(3000, 'mine'))
        assert client.read_frame() == (0x88, b'\x03\xe8')
        assert client.read_all() == b''
    assert not logged(server, 'close_by_hand')


def test_a_ping_is_processed_by_hand(server):
    with server.connect() as client:
        client.upgrade('/internals?ping_by_hand')
        client.send(masked(0x89, b'here?'))
        assert client.read_frame() == (0x8a, b'here?')
        assert client.read_close() == 1000


def test_the_answer_to_a_close_is_read_by_hand(server):
    with server.connect() as client:
        client.upgrade('/internals?close_seen')
        assert client.read_frame() == (0x88, b'\x0b\xb9x')
        client.send(close(3001, 'x'))
        assert client.read_all() == b"(8, b'\\x0b\\xb9x')"
    with server.connect() as client:
        client.upgrade('/internals?raw_close')
        assert client.read_close() == 1000
        client.send(close())
        assert client.read_all() == repr(close()).encode()


def test_bytes_are_read_from_the_stream(server):
    with server.connect() as client:
        client.upgrade('/internals?lines')
        client.send(b'one\ntwo')
        assert client.read_all() == b'one|tw'


def test_a_handler_compresses_by_itself(server):
    with server.connect() as client:
        assert client.upgrade('/internals?inflate_by_hand').endswith(b'\r\nSec-WebSocket-Extensions: permessage-deflate')
        client.send(masked(0xc1, *deflated('by hand')))
        first, payload = client.read_frame()
        assert first == 0xc1 and zlib.decompressobj(-15).decompress(payload + b'\0\0\xff\xff') == b'BY HAND'


# Threads of a handler's own.


@pytest.mark.parametrize('wish', ['thread', 'receiver'])
def test_one_thread_receives_while_another_sends(server, wish):
    count = 300
    with server.connect() as client:
        client.upgrade('/threads?' + wish)
        sender = threading.Thread(target=client.send, args=(b''.join(text(str(n)) for n in range(count)),))
        sender.start()
        assert [client.read_frame() for _ in range(count)] == [(0x81, b'echo %d' % n) for n in range(count)]
        sender.join()
        client.send(close())
        assert client.read_close() is None
        assert client.read_all() == b''


def test_what_a_reading_thread_finds_wrong_closes(server):
    with server.connect() as client:
        client.upgrade('/threads')
        client.send(b'\x81\x00')
        assert client.read_close() == 1002
        assert client.read_all() == b''


# Flags.


@pytest.mark.parametrize('wish, sent', [
    ('server_terminated', b''),
    ('client_terminated', b'\x88\x02\x03\xe8'),
    ('sends_after_server_terminated', b''),
    ('sends_after_client_terminated', b'\x81\x05still'),
    ('reset', b'\x88\x02\x03\xe8\x81\x0fafter the close\x88\x07\x0b\xb8again'),
    ('closes_without_code', b'\x88\x00'),
    ('closes_with_a_code', b'\x88\x06\x0f\xa0mine'),
    ('pings_and_aborts', b'\x89\x04ping'),
])
def test_flags_are_the_handlers_to_change(server, wish, sent):
    with server.connect() as client:
        client.upgrade('/flags?' + wish)
        assert client.read(len(sent)) == sent
        if b'\x88' in sent:
            client.send(close())
        assert client.read_all() == b''


# Extensions.


def extensions_of(answer):
    return [line.partition(b': ')[2] for line in answer.split(b'\r\n') if line.startswith(b'Sec-WebSocket-Extensions')]


@pytest.mark.parametrize('wish, offer, agreed', [
    ('none', 'permessage-deflate', []),
    ('empty', 'permessage-deflate', []),
    ('inactive', 'permessage-deflate', []),
    ('only', 'permessage-deflate; server_no_context_takeover, permessage-deflate',
     [b'permessage-deflate; server_no_context_takeover']),
    ('window', 'permessage-deflate; client_max_window_bits',
     [b'permessage-deflate; client_max_window_bits=10; client_no_context_takeover']),
    ('registered', 'x-shouting', [b'x-shouting']),
])
def test_a_handler_chooses_its_processors(server, wish, offer, agreed):
    with server.connect() as client:
        assert extensions_of(client.upgrade('/processors?' + wish, Sec_WebSocket_Extensions=offer)) == agreed
        client.send(text('quiet'))
        first, payload = client.read_frame()
        if agreed[:1] == [b'x-shouting']:
            assert (first, payload) == (0x81, b'QUIET')
        else:
            assert first == (0xc1 if agreed else 0x81)


def test_a_processor_without_an_answer_cannot_be_switched(server):
    assert server.answer(head('/processors?too-early', Sec_WebSocket_Extensions='permessage-deflate')).startswith(
        b'HTTP/1.0 403 ')


@pytest.mark.parametrize('wish, frames', [
    ('bfinal', [(0xc1, b'word')]),
    ('switched', [(0x81, b'word'), (0xc1, b'word')]),
    ('fragments', [(0x41, b'word'), (0x80, b'.')]),
])
def test_compression_changes_while_messages_pass(server, wish, frames):
    with server.connect() as client:
        client.upgrade('/processors?' + wish, Sec_WebSocket_Extensions='permessage-deflate')
        inflater = zlib.decompressobj(-15)
        for _ in range(2):
            client.send(text('word'))
            for first, said in frames:
                got, payload = client.read_frame()
                assert got == first
                if wish == 'bfinal':
                    # The last block says so, and each message begins anew.
                    inflater = zlib.decompressobj(-15)
                    assert inflater.decompress(payload) == said and inflater.eof
                    assert inflater.unused_data == b'\x00'
                elif first & 0x40:
                    payload = inflater.decompress(payload + (b'' if wish == 'fragments' else b'\0\0\xff\xff'))
                    assert payload == said
                elif wish == 'fragments':
                    assert inflater.decompress(payload + b'\0\0\xff\xff') == said
                else:
                    assert payload == said


def test_an_extension_of_ones_own_sees_every_frame(server):
    with server.connect() as client:
        assert extensions_of(client.upgrade('/processors?shouting')) == [b'x-shouting']
        client.send(text('One', fin=False) + masked(0x80, b'TWO') + text('three'))
        assert [client.read_frame() for _ in range(2)] == [(0x81, b'ONETWO 2'), (0x81, b'THREE 3')]


# Requests in a set.


@pytest.mark.parametrize('offer', [{}, {'Sec_WebSocket_Extensions': 'permessage-deflate'}], ids=['plain', 'deflate'])
def test_everybody_sends_to_everybody(server, offer):
    people, each = 6, 40
    clients = [server.connect() for _ in range(people)]
    inflaters = [zlib.decompressobj(-15) for _ in clients]

    def read(number):
        first, payload = clients[number].read_frame()
        if first == 0xc1:
            return inflaters[number].decompress(payload + b'\0\0\xff\xff').decode()
        assert first == 0x81
        return payload.decode()

    for number, client in enumerate(clients):
        client.upgrade('/crowd', **offer)
        assert read(number) == 'joined %d' % (number + 1)
    said = ['%d says %d%s' % (number, n, '!' * (n * 97 % 500)) for number in range(people) for n in range(each)]
    senders = [threading.Thread(target=client.send, args=(b''.join(map(text, said[number * each:][:each])),))
               for number, client in enumerate(clients)]
    for sender in senders:
        sender.start()
    for number in range(people):
        heard = [read(number) for _ in said]
        assert sorted(heard) == sorted(said)
        for other in range(people):
            # In the order in which each has said it.
            start = '%d says ' % other
            assert [one for one in heard if one.startswith(start)] == [one for one in said if one.startswith(start)]
    for sender in senders:
        sender.join()
    clients[0].send(text('from outside'))
    assert [read(number) for number in range(people)] == ['outside'] * people
    # Who leaves is told to those who stay, by the thread that served it.
    clients[0].sock.close()
    assert [read(number) for number in range(1, people)] == ['left'] * (people - 1)
    for client in clients[1:]:
        client.send(close())
        assert client.read_all()
        client.sock.close()


# Who does not read.


def test_a_client_that_does_not_read_stops_its_handler_alone(server):
    with server.connect() as stuck, server.connect() as counter:
        stuck.upgrade('/pressure?stuck')
        assert stuck.read_frame()[0] == 0x82
        counter.upgrade('/pressure?count-of-stuck')

        def count():
            counter.send(text('?'))
            return int(counter.read_frame()[1])

        # What fits into the buffers of two sockets, and the message that does not; never all 64.
        before, now = -1, count()
        while now != before:
            before = now
            with server.connect() as other:
                other.upgrade('/pressure?other%d' % now)
                assert [other.read_frame()[0] for _ in range(64)] == [0x82] * 64
                assert other.read_close() == 1000
                other.send(close())
                assert other.read_all() == b''
            now = count()
        assert 1 <= now < 40
        # The rest arrives when it is wanted.
        sizes = [len(stuck.read_frame()[1]) for _ in range(63)]
        assert sizes == [1 << 20] * 63 and stuck.read_close() == 1000
        assert count() == 64
