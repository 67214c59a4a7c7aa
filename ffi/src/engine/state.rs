//! What a `linkspan_engine` holds: the engine, what it has not eaten, and what its last event points to.

use std::ffi::c_void;
use std::ptr;

use linkspan::protocol::{Engine, Event, Input, Payload, Pool, Time};

use super::{
    LINKSPAN_EVENT_CLOSE_REQUESTED, LINKSPAN_EVENT_CLOSED, LINKSPAN_EVENT_MESSAGE, LINKSPAN_EVENT_MESSAGE_BEGIN,
    LINKSPAN_EVENT_MESSAGE_END, LINKSPAN_EVENT_MESSAGE_PART, LINKSPAN_EVENT_NONE, LINKSPAN_EVENT_OPEN,
    LINKSPAN_EVENT_PING, LINKSPAN_EVENT_PONG, LINKSPAN_EVENT_REQUEST, linkspan_event, linkspan_event_kind,
};
use crate::bytes::kind_number;
use crate::guard;
use crate::request::linkspan_request;
use crate::result::Failure;

pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) input: Pending,
    pool: Pool,
    /// What the last event points to, kept until the next call.
    payload: Option<Vec<u8>>,
    request: Option<linkspan_request>,
    pub(super) extensions: String,
}

/// Bytes that the engine has not eaten.
pub(super) enum Pending {
    None,
    /// In the caller's buffer, which is lent until next_event has said NONE.
    Lent {
        data: *mut c_void,
        bytes: usize,
    },
    /// Copied, because the engine waits for the application.
    Kept {
        data: Vec<u8>,
        eaten: usize,
    },
}

// SAFETY: the caller lends its buffer to the engine, whichever thread calls; the engine's lock keeps two
// threads apart.
unsafe impl Send for State {}

impl State {
    pub(super) fn new(engine: Engine) -> State {
        let (input, pool, extensions) = (Pending::None, Pool::new(), String::new());
        State { engine, input, pool, payload: None, request: None, extensions }
    }

    /// What was kept and how much of it is eaten, if the engine had to wait.
    pub(super) fn keep(&mut self) -> Option<(Vec<u8>, usize)> {
        match std::mem::replace(&mut self.input, Pending::None) {
            Pending::None | Pending::Lent { bytes: 0, .. } => None,
            Pending::Kept { data, eaten } => (eaten < data.len()).then_some((data, eaten)),
            Pending::Lent { data, bytes } => {
                // SAFETY: lent by linkspan_engine_receive's caller until NONE, which was not said yet.
                let rest = unsafe { guard::bytes(data, bytes) }.unwrap_or_default();
                Some((rest.to_vec(), 0))
            }
        }
    }

    pub(super) fn next_event(&mut self, now: Time) -> Result<linkspan_event, Failure> {
        self.request = None;
        if let Some(payload) = self.payload.take() {
            self.pool.give(payload);
        }
        let unread = match &mut self.input {
            Pending::None => &mut [],
            // SAFETY: lent by linkspan_engine_receive's caller until NONE, and nobody else's meanwhile.
            Pending::Lent { data, bytes } => unsafe { guard::bytes_mut(*data, *bytes) }?,
            Pending::Kept { data, eaten } => &mut data[*eaten..],
        };
        let mut input = Input::pooled(unread, &mut self.pool);
        let event = self.engine.next_event(now, &mut input);
        let rest = input.rest().len();
        let told = match event {
            Some(event) => told(event, &mut self.payload, &mut self.request),
            None => linkspan_event::of(LINKSPAN_EVENT_NONE),
        };
        self.eaten_but(rest);
        if told.kind == LINKSPAN_EVENT_NONE {
            self.input = self.keep().map_or(Pending::None, |(data, eaten)| Pending::Kept { data, eaten });
        }
        Ok(told)
    }

    /// All of the input is eaten but its last `rest` bytes.
    fn eaten_but(&mut self, rest: usize) {
        match &mut self.input {
            Pending::None => {}
            Pending::Lent { data, bytes } => {
                *data = data.wrapping_byte_add(*bytes - rest);
                *bytes = rest;
            }
            Pending::Kept { data, eaten } => *eaten = data.len() - rest,
        }
    }
}

impl linkspan_event {
    fn of(kind: linkspan_event_kind) -> linkspan_event {
        linkspan_event { kind, message_kind: 0, data: ptr::null(), bytes: 0, request: ptr::null() }
    }

    fn with(self, payload: Payload<'_>, kept: &mut Option<Vec<u8>>) -> linkspan_event {
        let payload = match payload {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => kept.insert(bytes),
        };
        linkspan_event { data: payload.as_ptr().cast(), bytes: payload.len(), ..self }
    }
}

/// The event as C sees it; what it points to is kept where the engine's next call finds it.
fn told(event: Event<'_>, kept: &mut Option<Vec<u8>>, asked: &mut Option<linkspan_request>) -> linkspan_event {
    let of = linkspan_event::of;
    match event {
        Event::Request(request) => {
            let request = ptr::from_ref(asked.insert(linkspan_request::own(*request)));
            linkspan_event { request, ..of(LINKSPAN_EVENT_REQUEST) }
        }
        Event::Open => of(LINKSPAN_EVENT_OPEN),
        Event::Message(message) => {
            let event = linkspan_event { message_kind: kind_number(message.kind), ..of(LINKSPAN_EVENT_MESSAGE) };
            event.with(message.data, kept)
        }
        Event::MessageBegin(kind) => {
            linkspan_event { message_kind: kind_number(kind), ..of(LINKSPAN_EVENT_MESSAGE_BEGIN) }
        }
        Event::MessagePart(data) => of(LINKSPAN_EVENT_MESSAGE_PART).with(data, kept),
        Event::MessageEnd => of(LINKSPAN_EVENT_MESSAGE_END),
        Event::Ping(data) => of(LINKSPAN_EVENT_PING).with(data, kept),
        Event::Pong(data) => of(LINKSPAN_EVENT_PONG).with(data, kept),
        Event::CloseRequested => of(LINKSPAN_EVENT_CLOSE_REQUESTED),
        Event::Closed(_) => of(LINKSPAN_EVENT_CLOSED),
    }
}
