//! A stream of bytes that is no WebSocket yet, or never will be.

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use linkspan::blocking::RawStream;
use linkspan::protocol::{Config, MessageKind};
use linkspan::transport::{HostTransport, Socket, Transport};

use crate::{client_engine, server_engine, text};

fn raw() -> (RawStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (RawStream::new(Transport::plain(Socket::try_from(near).unwrap()), Vec::new()).unwrap(), far)
}

#[test]
fn raw_bytes_are_read_as_they_come() {
    let (stream, mut far) = raw();
    let mut buffer = [0; 10];
    assert_eq!(stream.read(&mut buffer, Some(Duration::from_millis(5))).unwrap(), None);
    far.write_all(b"some bytes and more").unwrap();
    assert_eq!(stream.read(&mut buffer, None).unwrap(), Some(10));
    assert_eq!(&buffer, b"some bytes");
    assert_eq!(stream.read(&mut buffer, None).unwrap(), Some(9));
    drop(far);
    assert_eq!(stream.read(&mut buffer, None).unwrap(), Some(0));
    assert_eq!(stream.read(&mut buffer, None).unwrap(), Some(0));
}

#[test]
fn raw_reading_and_writing_go_on_at_once() {
    let (stream, mut far) = raw();
    let stream = Arc::new(stream);
    let writer = stream.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&vec![5; 3_000_000]).unwrap();
        writer.finish().unwrap();
        assert!(writer.write_all(b"more").is_err());
    });
    // The writer waits for us; the reader is not held up by it.
    far.write_all(b"ping").unwrap();
    let mut buffer = [0; 4];
    assert_eq!(stream.read(&mut buffer, None).unwrap(), Some(4));
    let mut all = Vec::new();
    far.read_to_end(&mut all).unwrap();
    assert!(all == vec![5; 3_000_000]);
    writing.join().unwrap();
}

#[test]
fn an_abort_ends_a_raw_reader() {
    let (stream, _far) = raw();
    let stream = Arc::new(stream);
    let reader = stream.clone();
    let reading = thread::spawn(move || reader.read(&mut [0; 4], None).unwrap());
    stream.abort();
    assert_eq!(reading.join().unwrap(), Some(0));
}

#[test]
fn a_raw_stream_becomes_a_websocket_with_what_was_read_too_far() {
    let config = Arc::new(Config::default());
    let (stream, mut far) = raw();
    let mut peer = client_engine(&config);
    peer.send_text("early").unwrap();
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    far.write_all(peer.outbox().front()).unwrap();
    let mut head = [0; 18];
    assert_eq!(stream.read(&mut head, None).unwrap(), Some(18));
    assert!(stream.post(b"101\r\n").unwrap());
    let (transport, unread) = stream.into_parts();
    let stream = RawStream::new(transport, unread).unwrap();
    let websocket = stream.into_websocket(server_engine(&config)).unwrap();
    assert_eq!(text(&websocket), "early");
    websocket.send(MessageKind::Text, b"hi").unwrap();
    let mut answer = [0; 9];
    far.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"101\r\n\x81\x02hi");
}

#[test]
fn a_transport_without_descriptor_cannot_be_waited_for() {
    struct Nothing;
    impl HostTransport for Nothing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn write(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(0)
        }
        fn close(&mut self) {}
    }
    let error = RawStream::new(Transport::host(Nothing), Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot wait for this transport: it has no descriptor");
}
