//! Engines: your own sockets
//!
//! An engine is one WebSocket without a socket: bytes and time in, events and bytes out. Nothing in it
//! waits, and it never reads a clock: `now` is in milliseconds since a moment that you pick once.
//!
//! After each thing that happens (bytes came, the stream ended, a timeout, a command of yours):
//!
//!   1. linkspan_engine_next_event until LINKSPAN_EVENT_NONE;
//!   2. write what linkspan_engine_outgoing gives, say linkspan_engine_sent, and begin again at 1 if
//!      something was sent; say linkspan_engine_stalled if the stream takes no more;
//!   3. do what linkspan_engine_shutdown says;
//!   4. wait, until linkspan_engine_next_timeout at the most.
//!
//! One engine is used by one thread at a time; LINKSPAN_WRONG_THREAD when two meet in it.

mod state;

use std::ffi::{c_char, c_void};
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{Engine, Keys, MAX_SLICES, Phase, Shutdown, Time};

use self::state::{Pending, State};
use crate::adopt::linkspan_handshake;
use crate::bytes::{self, linkspan_header, linkspan_message_kind, linkspan_slice, linkspan_text, message_kind};
use crate::callbacks::linkspan_close_info;
use crate::config::{self, LINKSPAN_NEVER, linkspan_config};
use crate::connection::{
    LINKSPAN_STATE_CLOSED, LINKSPAN_STATE_CLOSING, LINKSPAN_STATE_CONNECTING, LINKSPAN_STATE_OPEN, close_code,
    linkspan_ready_state,
};
use crate::guard::{self, Out, Outcome, guard, guard_value};
use crate::request::{self, linkspan_accept_options, linkspan_request};
use crate::result::{
    Failure, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_IO, LINKSPAN_NOT_FOUND, LINKSPAN_OK, LINKSPAN_WRONG_THREAD,
    linkspan_status,
};

/// One WebSocket without a socket. Owned: free it with linkspan_engine_free.
pub struct linkspan_engine(Mutex<State>);

/// What an engine tells.
pub type linkspan_event_kind = i32;

/// Nothing more follows from what has happened.
pub const LINKSPAN_EVENT_NONE: linkspan_event_kind = 0;

/// Server: a request waits for linkspan_engine_accept or linkspan_engine_reject.
pub const LINKSPAN_EVENT_REQUEST: linkspan_event_kind = 1;

/// The opening handshake is over.
pub const LINKSPAN_EVENT_OPEN: linkspan_event_kind = 2;

/// A whole message.
pub const LINKSPAN_EVENT_MESSAGE: linkspan_event_kind = 3;

/// With linkspan_config.parts: a message begins.
pub const LINKSPAN_EVENT_MESSAGE_BEGIN: linkspan_event_kind = 4;

/// With linkspan_config.parts: some of its payload.
pub const LINKSPAN_EVENT_MESSAGE_PART: linkspan_event_kind = 5;

/// With linkspan_config.parts: the message is complete.
pub const LINKSPAN_EVENT_MESSAGE_END: linkspan_event_kind = 6;

/// A ping; answered already unless linkspan_config.manual_pong.
pub const LINKSPAN_EVENT_PING: linkspan_event_kind = 7;

/// A pong.
pub const LINKSPAN_EVENT_PONG: linkspan_event_kind = 8;

/// With linkspan_config.manual_close: the peer closes and waits for linkspan_engine_close.
pub const LINKSPAN_EVENT_CLOSE_REQUESTED: linkspan_event_kind = 9;

/// It is over: see linkspan_engine_close_info. Comes exactly once and last.
pub const LINKSPAN_EVENT_CLOSED: linkspan_event_kind = 10;

/// One thing that happened. What it points to lives until the next call with the same engine; `data` may
/// point into the buffer that was received.
#[repr(C)]
pub struct linkspan_event {
    /// Which thing.
    pub kind: linkspan_event_kind,
    /// MESSAGE, MESSAGE_BEGIN: text or binary. Else 0.
    pub message_kind: linkspan_message_kind,
    /// MESSAGE, MESSAGE_PART, PING, PONG: the payload. Else NULL.
    pub data: *const c_void,
    /// How many bytes.
    pub bytes: usize,
    /// REQUEST: the request. Else NULL.
    pub request: *const linkspan_request,
}

/// What must be done with the stream once everything outgoing was written.
pub type linkspan_shutdown = i32;

/// Nothing: go on.
pub const LINKSPAN_SHUTDOWN_NOT: linkspan_shutdown = 0;

/// End the sending half; go on reading until the end of the stream or the next timeout.
pub const LINKSPAN_SHUTDOWN_WRITE: linkspan_shutdown = 1;

/// Close the stream.
pub const LINKSPAN_SHUTDOWN_BOTH: linkspan_shutdown = 2;

/// A server's end of a new stream. `config` may be NULL and is copied.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_server(
    config: *const linkspan_config,
    now: u64,
    engine: *mut *mut linkspan_engine,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (out, config) = unsafe { (Out::new(engine)?, config::read(config)?) };
        hand_out(Engine::server(Arc::new(config), Time::from_millis(now)), out)
    })
}

/// A client's end of a new stream to the server of `url` (ws://..., ended by a NUL); the request is outgoing
/// at once, with `headers` added to it. `config` may be NULL; `headers` may be NULL with a count of 0; all
/// are copied. For wss:// the TLS is yours.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_client(
    config: *const linkspan_config,
    url: *const c_char,
    headers: *const linkspan_header,
    header_count: usize,
    now: u64,
    engine: *mut *mut linkspan_engine,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (out, config, url, headers) = unsafe {
            (Out::new(engine)?, config::read(config)?, guard::string(url)?, bytes::headers(headers, header_count)?)
        };
        let uri = Uri::parse(url)?;
        hand_out(Engine::client(Arc::new(config), &uri, &headers, keys()?, Time::from_millis(now))?, out)
    })
}

/// A server's end of a stream whose opening handshake was accepted as a linkspan_handshake; the handshake
/// stays the caller's. LINKSPAN_WRONG_STATE when it has not been accepted. LINKSPAN_EVENT_OPEN comes first.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_adopt(
    handshake: *const linkspan_handshake,
    now: u64,
    engine: *mut *mut linkspan_engine,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (out, handshake) = unsafe { (Out::new(engine)?, guard::reference(handshake)?) };
        hand_out(handshake.engine(Time::from_millis(now))?, out)
    })
}

/// Frees the engine and what its last event points to. NULL is fine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_free(engine: *mut linkspan_engine) {
    guard(|| {
        // SAFETY: the caller's own handle, given up here.
        drop(unsafe { guard::release(engine) });
        Ok(LINKSPAN_OK)
    });
}

/// The peer sent `bytes` bytes. They are worked on in place: the buffer must be writable, and stay as it is
/// until linkspan_engine_next_event has said LINKSPAN_EVENT_NONE; what an event points to may lie in it.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_receive(
    engine: *mut linkspan_engine,
    data: *mut c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            let new = guard::bytes_mut(data, bytes)?;
            state.input = match state.keep() {
                Some((mut kept, eaten)) => {
                    kept.extend_from_slice(new);
                    Pending::Kept { data: kept, eaten }
                }
                None => Pending::Lent { data, bytes },
            };
            Ok(LINKSPAN_OK)
        })
    }
}

/// The next thing that happened, or LINKSPAN_EVENT_NONE: then everything that was received is eaten, or kept
/// by the engine until a request is answered or linkspan_engine_resume.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_next_event(
    engine: *mut linkspan_engine,
    now: u64,
    event: *mut linkspan_event,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            let out = Out::new(event)?;
            out.write(state.next_event(Time::from_millis(now))?);
            Ok(LINKSPAN_OK)
        })
    }
}

/// The peer sends no more.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_end_of_input(engine: *mut linkspan_engine, now: u64) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, |engine| engine.end_of_input(Time::from_millis(now))) }
}

/// The stream broke: nothing can be read or written any more.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_lost(engine: *mut linkspan_engine, now: u64) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, |engine| engine.lost(Time::from_millis(now))) }
}

/// Ends the connection at once, without a closing handshake: 1006, and what waits is thrown away.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_abort(engine: *mut linkspan_engine, now: u64) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, |engine| engine.abort(Time::from_millis(now))) }
}

/// The stream takes no more bytes for now: the peer has linkspan_config.write_timeout to read some.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_stalled(engine: *mut linkspan_engine, now: u64) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, |engine| engine.stalled(Time::from_millis(now))) }
}

/// The time of linkspan_engine_next_timeout has come. Too early a call does nothing.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_handle_timeout(engine: *mut linkspan_engine, now: u64) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, |engine| engine.handle_timeout(Time::from_millis(now))) }
}

/// Accepts the request that waits: LINKSPAN_EVENT_OPEN follows. `options` may be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_accept(
    engine: *mut linkspan_engine,
    now: u64,
    options: *const linkspan_accept_options,
) -> linkspan_status {
    // SAFETY: the pointers are as the comments say.
    unsafe {
        with(engine, |state| {
            state.engine.accept(Time::from_millis(now), &request::accept(options)?)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Answers the request that waits with an HTTP status; see linkspan_request_reject.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_reject(
    engine: *mut linkspan_engine,
    now: u64,
    status: u16,
    headers: *const linkspan_header,
    header_count: usize,
    body: *const c_void,
    body_bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comments say.
    unsafe {
        with(engine, |state| {
            let reject = request::reject(status, headers, header_count, body, body_bytes)?;
            state.engine.reject(Time::from_millis(now), &reject)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Sends a whole message; the payload is copied. LINKSPAN_INVALID_UTF8 for a text that is not,
/// LINKSPAN_FULL above the outbox's limit, LINKSPAN_WRONG_STATE inside a fragmented message.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_send(
    engine: *mut linkspan_engine,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            state.engine.send(message_kind(kind)?, guard::bytes(data, bytes)?)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Sends a fragment of a message; see linkspan_connection_send_fragment.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_send_fragment(
    engine: *mut linkspan_engine,
    kind: linkspan_message_kind,
    data: *const c_void,
    bytes: usize,
    fin: bool,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            state.engine.send_fragment(message_kind(kind)?, guard::bytes(data, bytes)?, fin)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Sends a ping of at most 125 bytes.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_ping(
    engine: *mut linkspan_engine,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            state.engine.ping(guard::bytes(data, bytes)?)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Sends a pong of at most 125 bytes.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_pong(
    engine: *mut linkspan_engine,
    data: *const c_void,
    bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            state.engine.pong(guard::bytes(data, bytes)?)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Begins the closing handshake, or answers the peer's; see linkspan_connection_close.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_close(
    engine: *mut linkspan_engine,
    now: u64,
    code: u16,
    reason: *const c_char,
    reason_bytes: usize,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            let reason = guard::text(reason, reason_bytes)?;
            state.engine.close(Time::from_millis(now), close_code(code), reason)?;
            Ok(LINKSPAN_OK)
        })
    }
}

/// Hands out no more frames until linkspan_engine_resume: what is received stays in the engine's memory, so
/// receive no more.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_pause(engine: *mut linkspan_engine) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, Engine::pause) }
}

/// Hands out frames again, those first that were kept.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_resume(engine: *mut linkspan_engine) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe { command(engine, Engine::resume) }
}

/// The bytes that wait to be written, in order, as far as they fit into `capacity` slices (16 at most);
/// returns how many slices were filled, 0 when nothing waits. They point into the engine and live until the
/// next call with it.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_outgoing(
    engine: *mut linkspan_engine,
    slices: *mut linkspan_slice,
    capacity: usize,
) -> usize {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        ask(0, engine, |state| {
            let room = guard::values_mut(slices, capacity)?;
            let mut outgoing = [IoSlice::new(&[]); MAX_SLICES];
            let filled = state.engine.outgoing(&mut outgoing).min(room.len());
            for (to, from) in room.iter_mut().zip(&outgoing[..filled]) {
                to.write(linkspan_slice { data: from.as_ptr().cast(), bytes: from.len() });
            }
            Ok(filled)
        })
    }
}

/// The first `bytes` bytes of what is outgoing were written. LINKSPAN_INVALID_ARGUMENT when it is more than
/// what waits.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_sent(engine: *mut linkspan_engine, bytes: usize) -> linkspan_status {
    // SAFETY: the engine is the caller's own handle.
    unsafe {
        with(engine, |state| {
            if bytes > state.engine.outbox().len() {
                return Err(Failure::new(LINKSPAN_INVALID_ARGUMENT, "more bytes were said to be sent than waited"));
            }
            state.engine.sent(bytes);
            Ok(LINKSPAN_OK)
        })
    }
}

/// When linkspan_engine_handle_timeout wants to be called, on your own clock; LINKSPAN_NEVER when nothing is
/// due.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_next_timeout(engine: *mut linkspan_engine) -> u64 {
    // SAFETY: the engine is the caller's own handle.
    unsafe {
        ask(LINKSPAN_NEVER, engine, |state| Ok(state.engine.next_timeout().map_or(LINKSPAN_NEVER, Time::as_millis)))
    }
}

/// What to do with the stream, asked after everything outgoing was written: LINKSPAN_SHUTDOWN_NOT, _WRITE or
/// _BOTH. _BOTH for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_shutdown(engine: *mut linkspan_engine) -> linkspan_shutdown {
    // SAFETY: the engine is the caller's own handle.
    unsafe {
        ask(LINKSPAN_SHUTDOWN_BOTH, engine, |state| {
            Ok(match state.engine.shutdown() {
                Shutdown::Not => LINKSPAN_SHUTDOWN_NOT,
                Shutdown::Write => LINKSPAN_SHUTDOWN_WRITE,
                Shutdown::Both => LINKSPAN_SHUTDOWN_BOTH,
            })
        })
    }
}

/// As linkspan_connection_ready_state.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_ready_state(engine: *mut linkspan_engine) -> linkspan_ready_state {
    // SAFETY: the engine is the caller's own handle.
    unsafe {
        ask(LINKSPAN_STATE_CLOSED, engine, |state| {
            Ok(match state.engine.phase() {
                Phase::Opening => LINKSPAN_STATE_CONNECTING,
                Phase::Open => LINKSPAN_STATE_OPEN,
                Phase::CloseSent | Phase::CloseReceived | Phase::Failing => LINKSPAN_STATE_CLOSING,
                Phase::Closed => LINKSPAN_STATE_CLOSED,
            })
        })
    }
}

/// As linkspan_connection_buffered_amount.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_buffered_amount(engine: *mut linkspan_engine) -> u64 {
    // SAFETY: the engine is the caller's own handle.
    unsafe { ask(0, engine, |state| Ok(state.engine.buffered_amount())) }
}

/// Client: the URL that was asked for. Server: the request's target. Lives until the next call with the
/// engine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_url(engine: *mut linkspan_engine) -> linkspan_text {
    // SAFETY: the engine is the caller's own handle.
    unsafe { ask(linkspan_text::NONE, engine, |state| Ok(state.engine.url().into())) }
}

/// The agreed subprotocol; absent when there is none. Lives until the next call with the engine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_protocol(engine: *mut linkspan_engine) -> linkspan_text {
    // SAFETY: the engine is the caller's own handle.
    unsafe { ask(linkspan_text::NONE, engine, |state| Ok(state.engine.subprotocol().into())) }
}

/// The agreed extensions, as a header would name them; empty when there are none. Lives until the next call
/// with the engine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_extensions(engine: *mut linkspan_engine) -> linkspan_text {
    // SAFETY: the engine is the caller's own handle.
    unsafe {
        ask(linkspan_text::NONE, engine, |state| {
            state.extensions = state.engine.extensions();
            Ok(state.extensions.as_str().into())
        })
    }
}

/// How it ended, or is about to end; `info` is sized as linkspan_close_info says. LINKSPAN_NOT_FOUND while
/// nothing ends. The reason lives until the next call with the engine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_engine_close_info(
    engine: *mut linkspan_engine,
    info: *mut linkspan_close_info,
) -> linkspan_status {
    // SAFETY: the pointers are as the comment says.
    unsafe {
        with(engine, |state| {
            let told = state.engine.close_info().ok_or(Failure::bare(LINKSPAN_NOT_FOUND))?;
            guard::write_growing(info, linkspan_close_info::from(told))
        })
    }
}

fn hand_out(engine: Engine, out: Out<*mut linkspan_engine>) -> Outcome {
    guard::prepare();
    out.write(guard::handle(Arc::new(linkspan_engine(Mutex::new(State::new(engine))))));
    Ok(LINKSPAN_OK)
}

/// A client's masking keys, from the system's random numbers.
pub(crate) fn keys() -> Result<Keys, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| Failure::new(LINKSPAN_IO, format!("cannot draw random bytes: {why}")))?;
    Ok(Keys::new(seed))
}

fn lock(engine: &linkspan_engine) -> Result<MutexGuard<'_, State>, Failure> {
    match engine.0.try_lock() {
        Ok(state) => Ok(state),
        Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(LINKSPAN_WRONG_THREAD, "another thread is using this engine"))
        }
    }
}

/// # Safety
/// `engine` is NULL or a handle that was not freed.
unsafe fn with(engine: *const linkspan_engine, body: impl FnOnce(&mut State) -> Outcome) -> linkspan_status {
    // SAFETY: the caller's duty.
    guard(|| body(&mut *lock(unsafe { guard::reference(engine) }?)?))
}

/// # Safety
/// As for [`with`].
unsafe fn command(engine: *const linkspan_engine, command: impl FnOnce(&mut Engine)) -> linkspan_status {
    // SAFETY: the caller's duty.
    unsafe {
        with(engine, |state| {
            command(&mut state.engine);
            Ok(LINKSPAN_OK)
        })
    }
}

/// # Safety
/// As for [`with`].
unsafe fn ask<T>(absent: T, engine: *const linkspan_engine, ask: impl FnOnce(&mut State) -> Result<T, Failure>) -> T {
    // SAFETY: the caller's duty.
    guard_value(absent, || ask(&mut *lock(unsafe { guard::reference(engine) }?)?))
}
