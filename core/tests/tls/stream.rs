//! Bytes through TLS: slow readers, single bytes, ends.

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;

use linkspan::transport::{Socket, Transport};

use crate::certificates::Authority;
use crate::{End, Pair, client, numbered, ordinary, server};

#[test]
fn bytes_go_both_ways() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"to the server").unwrap(), 13);
    assert_eq!(pair.server.write(b"to the client").unwrap(), 13);
    pair.settle();
    assert_eq!(pair.server.received, b"to the server");
    assert_eq!(pair.client.received, b"to the client");
    assert!(pair.client.transport.is_secure());
}

#[test]
fn nothing_is_written_before_the_handshake_is_over() {
    let authority = Authority::new("root");
    let mut pair = Pair::new(&server(&authority.server(&["localhost"])), &client(&authority), "localhost");
    assert!(pair.client.transport.is_handshaking());
    assert_eq!(pair.client.write(b"early").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(pair.server.write(b"early").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    pair.settle();
    assert_eq!(pair.client.write(b"now").unwrap(), 3);
    pair.settle();
    assert_eq!(pair.server.received, b"now");
}

#[test]
fn a_large_write_to_a_slow_reader_waits_within_bounds_and_arrives_whole() {
    let mut pair = ordinary();
    let sent = numbered(3 << 20);
    let mut accepted = 0;
    let mut buffer = vec![0; 256 << 10];
    while accepted < sent.len() {
        match pair.server.write(&sent[accepted..]) {
            Ok(n) => accepted += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                assert!(pair.server.transport.has_pending_write());
                // What was accepted beyond what the reader can have is bounded: the socket's buffers and one batch.
                assert!(accepted - pair.client.received.len() < 1 << 20);
                assert!(!pair.server.transport.flush().unwrap());
                let n = pair.client.transport.read(&mut buffer).unwrap();
                pair.client.received.extend_from_slice(&buffer[..n]);
            }
        }
    }
    pair.settle();
    assert!(pair.client.received == sent);
    assert!(!pair.server.transport.has_pending_write());
}

#[test]
fn the_smallest_buffer_reads_everything_in_order() {
    let mut pair = ordinary();
    let sent = numbered(20_000);
    assert_eq!(pair.client.write(&sent).unwrap(), sent.len());
    let mut received = Vec::new();
    let mut byte = [0];
    while received.len() < sent.len() {
        assert_eq!(pair.server.transport.read(&mut byte).unwrap(), 1);
        received.push(byte[0]);
        // Bytes that stand ready never wait for readiness.
        assert!(
            pair.server.transport.has_buffered_plaintext()
                || !pair.server.transport.short_read_drains()
                || received.len() == sent.len()
        );
    }
    assert!(received == sent);
    assert_eq!(pair.server.transport.read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn what_comes_while_plaintext_is_kept_is_not_taken_for_read() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(&numbered(3000)).unwrap(), 3000);
    let mut buffer = [0; 2000];
    assert_eq!(pair.server.transport.read(&mut buffer).unwrap(), 2000);
    assert!(pair.server.transport.has_buffered_plaintext() && !pair.server.transport.short_read_drains());
    // Its readiness is told now; the next read gives what is kept, and no look at the socket.
    assert_eq!(pair.client.write(b"more").unwrap(), 4);
    assert_eq!(pair.server.transport.read(&mut buffer).unwrap(), 1000);
    assert!(!pair.server.transport.short_read_drains());
    assert_eq!(pair.server.transport.read(&mut buffer).unwrap(), 4);
    assert!(pair.server.transport.short_read_drains());
}

#[test]
fn records_arrive_whole_when_the_network_gives_single_bytes() {
    let authority = Authority::new("root");
    let (near_client, a) = UnixStream::pair().unwrap();
    let (near_server, b) = UnixStream::pair().unwrap();
    let socket = |stream: UnixStream| Socket::try_from(stream).unwrap();
    let mut client = End::new(Transport::tls_client(socket(a), &client(&authority), "localhost").unwrap());
    let server_tls = server(&authority.server(&["localhost"]));
    let mut server = End::new(Transport::tls_server(socket(b), &server_tls).unwrap());
    near_client.set_nonblocking(true).unwrap();
    near_server.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let sent = numbered(17_000);
    let mut is_sent = false;
    let mut crossing = |mut from: &UnixStream, mut to: &UnixStream, end: &mut End| {
        let mut bytes = vec![0; 64 << 10];
        let Ok(n) = from.read(&mut bytes) else { return };
        for byte in &bytes[..n] {
            to.write_all(&[*byte]).unwrap();
            end.turn(&mut buffer);
        }
    };
    while server.received.len() < sent.len() {
        let _ = client.transport.flush();
        crossing(&near_client, &near_server, &mut server);
        crossing(&near_server, &near_client, &mut client);
        assert!(server.error.is_none() && client.error.is_none());
        if !is_sent && !client.transport.is_handshaking() {
            is_sent = true;
            assert_eq!(client.write(&sent).unwrap(), sent.len());
        }
    }
    assert!(server.received == sent);
}

#[test]
fn slices_share_records() {
    let authority = Authority::new("root");
    let mut pair = Pair::open(&server(&authority.server(&["localhost"])), &client(&authority), "localhost");
    let slices = [b"two", b"and", b"six"].map(|bytes| IoSlice::new(bytes));
    assert_eq!(pair.client.transport.write(&slices).unwrap(), 9);
    // TLS 1.3: five bytes of header, then nine of payload, one of kind and sixteen of tag.
    let Transport::Tls(_) = &pair.server.transport else { panic!("no TLS") };
    let fd = pair.server.transport.fd().unwrap().try_clone_to_owned().unwrap();
    let raw = Socket::try_from(fd).unwrap();
    let mut record = [0; 100];
    assert_eq!(raw.read(&mut record).unwrap(), 5 + 9 + 1 + 16);
    assert_eq!(record[0], 23);
}

#[test]
fn close_notify_is_the_end_and_the_other_direction_goes_on() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"last words").unwrap(), 10);
    pair.client.transport.shutdown_write().unwrap();
    assert_eq!(pair.client.write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    pair.settle();
    assert_eq!(pair.server.received, b"last words");
    assert!(pair.server.is_ended && !pair.client.is_ended);
    assert_eq!(pair.server.write(b"answer").unwrap(), 6);
    pair.settle();
    assert_eq!(pair.client.received, b"answer");
}

#[test]
fn the_end_waits_for_bytes_that_the_socket_has_not_taken() {
    let mut pair = ordinary();
    let sent = numbered(3 << 20);
    let mut accepted = 0;
    while let Ok(n) = pair.client.write(&sent[accepted..]) {
        accepted += n;
    }
    assert!(pair.client.transport.has_pending_write());
    pair.client.transport.shutdown_write().unwrap();
    pair.settle();
    assert!(pair.server.received == sent[..accepted]);
    assert!(pair.server.is_ended);
}

#[test]
fn a_stream_without_close_notify_ends_as_any_other() {
    let mut pair = ordinary();
    assert_eq!(pair.client.write(b"cut").unwrap(), 3);
    drop(pair.client);
    let mut buffer = vec![0; 64 << 10];
    while pair.server.turn(&mut buffer) {}
    assert_eq!(pair.server.received, b"cut");
    assert!(pair.server.is_ended && pair.server.error.is_none());
}

#[test]
fn a_peer_that_leaves_during_the_handshake_is_named() {
    let authority = Authority::new("root");
    let (a, b) = Socket::pair().unwrap();
    drop(a);
    let mut end = End::new(Transport::tls_server(b, &server(&authority.server(&["localhost"]))).unwrap());
    end.turn(&mut [0; 100]);
    let error = end.error.as_ref().expect("no error");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the client left during the TLS handshake");
}

#[test]
fn a_peer_that_speaks_no_tls_is_told_so() {
    let authority = Authority::new("root");
    let (mut plain, b) = UnixStream::pair().unwrap();
    let b = Socket::try_from(b).unwrap();
    let mut end = End::new(Transport::tls_server(b, &server(&authority.server(&["localhost"]))).unwrap());
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    end.turn(&mut [0; 100]);
    end.fails_with("the client does not speak TLS");
    drop(end);
    let mut alert = Vec::new();
    plain.read_to_end(&mut alert).unwrap();
    // RFC 8446 6: a record of kind alert, fatal.
    assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
}
