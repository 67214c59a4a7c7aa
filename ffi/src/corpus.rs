//! Every `.wire` script of the corpus, played on the functions of the engine as a C program calls them.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;

use self::common::play::{Cut, Endpoint, Prelude, lacks, play};
use self::common::wire::{Case, Command, Need, Start, Told, read_folder};
use crate::bytes::{LINKSPAN_BINARY, LINKSPAN_TEXT, linkspan_header, linkspan_slice, linkspan_text};
use crate::callbacks::linkspan_close_info;
use crate::config::{LINKSPAN_NEVER, linkspan_config};
use crate::engine::*;
use crate::request::{
    linkspan_accept_options, linkspan_request_is_upgrade, linkspan_request_method, linkspan_request_target,
};
use crate::result::{LINKSPAN_OK, linkspan_last_error, linkspan_status};

/// An engine, as C has it.
struct ByC {
    engine: *mut linkspan_engine,
    now: u64,
    /// What was received, lent until the engine has said NONE.
    lent: Vec<u8>,
    is_stalled: bool,
}

impl Drop for ByC {
    fn drop(&mut self) {
        // SAFETY: the engine's only owner.
        unsafe { linkspan_engine_free(self.engine) }
    }
}

impl ByC {
    fn new(case: &Case, _: Cut, _: Prelude) -> ByC {
        let texts = |key: &str| CString::new(case.config_of(key).unwrap_or_default()).unwrap();
        let (mut subprotocols, origins) = (texts("subprotocols"), texts("origins"));
        if let Some(subprotocol) = &case.subprotocol {
            subprotocols = CString::new(subprotocol.as_str()).unwrap();
        }
        let mut config = config(case);
        config.subprotocols = subprotocols.as_ptr();
        config.origins = origins.as_ptr();
        let url = match &case.start {
            Start::Handshake(Some(url)) => url,
            Start::Handshake(None) | Start::Open => "ws://a.example/",
        };
        let url = CString::new(url).unwrap();
        let mut engine = ptr::null_mut();
        // SAFETY: all pointers live until the calls return.
        let status = unsafe {
            match case.is_server {
                true => linkspan_engine_server(&config, 1000, &mut engine),
                false => linkspan_engine_client(&config, url.as_ptr(), ptr::null(), 0, 1000, &mut engine),
            }
        };
        assert_eq!(status, LINKSPAN_OK);
        ByC { engine, now: 1000, lent: Vec::new(), is_stalled: false }
    }

    fn next_event(&mut self) -> Option<Told> {
        let mut event = MaybeUninit::uninit();
        // SAFETY: the engine lives, and writes the event when it answers OK.
        let event = unsafe {
            assert_eq!(linkspan_engine_next_event(self.engine, self.now, event.as_mut_ptr()), LINKSPAN_OK);
            event.assume_init()
        };
        let is_text = event.message_kind == LINKSPAN_TEXT;
        // SAFETY: the event's payload lives until the next call.
        let data = unsafe { crate::guard::bytes(event.data, event.bytes) }.unwrap().to_vec();
        Some(match event.kind {
            LINKSPAN_EVENT_NONE => return None,
            LINKSPAN_EVENT_REQUEST => {
                // SAFETY: the request lives until the next call.
                unsafe {
                    Told::Request {
                        method: text(linkspan_request_method(event.request)),
                        target: text(linkspan_request_target(event.request)),
                        is_upgrade: linkspan_request_is_upgrade(event.request),
                    }
                }
            }
            LINKSPAN_EVENT_OPEN => Told::Open,
            LINKSPAN_EVENT_MESSAGE => Told::Message { is_text, data },
            LINKSPAN_EVENT_MESSAGE_BEGIN => Told::Begin { is_text },
            LINKSPAN_EVENT_MESSAGE_PART => Told::Part(data),
            LINKSPAN_EVENT_MESSAGE_END => Told::End,
            LINKSPAN_EVENT_PING => Told::Ping(data),
            LINKSPAN_EVENT_PONG => Told::Pong(data),
            LINKSPAN_EVENT_CLOSE_REQUESTED => {
                let info = self.close_info();
                Told::CloseRequested { code: info.code, reason: text(info.reason) }
            }
            LINKSPAN_EVENT_CLOSED => {
                let info = self.close_info();
                Told::Closed {
                    code: info.code,
                    is_clean: info.clean != 0,
                    by_us: info.begun_by_peer == 0,
                    rule: (!info.rule.data.is_null()).then(|| text(info.rule)),
                    reason: text(info.reason),
                    unsent: info.unsent_bytes,
                }
            }
            kind => panic!("event {kind} is not known"),
        })
    }

    fn close_info(&self) -> linkspan_close_info {
        // SAFETY: all zero is a value; `size` says how much may be written.
        unsafe {
            let mut info: linkspan_close_info = MaybeUninit::zeroed().assume_init();
            info.size = size_of::<linkspan_close_info>();
            assert_eq!(linkspan_engine_close_info(self.engine, &mut info), LINKSPAN_OK);
            info
        }
    }

    /// Writes what waits, two slices at a time.
    fn leave(&mut self, output: &mut Vec<u8>) -> bool {
        let mut slices = [linkspan_slice { data: ptr::null(), bytes: 0 }; 2];
        // SAFETY: room for as many slices as is said; what they point to lives until `sent`.
        unsafe {
            let filled = linkspan_engine_outgoing(self.engine, slices.as_mut_ptr(), slices.len());
            if self.is_stalled {
                linkspan_engine_stalled(self.engine, self.now);
                return false;
            }
            let mut bytes = 0;
            for slice in &slices[..filled] {
                output.extend_from_slice(crate::guard::bytes(slice.data, slice.bytes).unwrap());
                bytes += slice.bytes;
            }
            assert_eq!(linkspan_engine_sent(self.engine, bytes), LINKSPAN_OK);
            bytes > 0
        }
    }
}

impl Endpoint for ByC {
    fn receive(&mut self, bytes: &[u8]) {
        self.lent = bytes.to_vec();
        let data = self.lent.as_mut_ptr().cast();
        // SAFETY: `lent` stays as it is until the engine has said NONE.
        assert_eq!(unsafe { linkspan_engine_receive(self.engine, data, bytes.len()) }, LINKSPAN_OK);
    }

    fn end_of_input(&mut self) {
        // SAFETY: the engine lives.
        unsafe { linkspan_engine_end_of_input(self.engine, self.now) };
    }

    fn lost(&mut self) {
        // SAFETY: the engine lives.
        unsafe { linkspan_engine_lost(self.engine, self.now) };
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        // SAFETY: the engine lives.
        unsafe { linkspan_engine_handle_timeout(self.engine, self.now) };
    }

    fn stall(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
    }

    fn command(&mut self, command: &Command) -> Result<(), String> {
        let (engine, now) = (self.engine, self.now);
        let field = |header: &Option<(String, String)>| {
            let field = header.as_ref().map(|(name, value)| [name, value].map(|text| CString::new(text.as_str())));
            field.map(|field| field.map(Result::unwrap))
        };
        if let Command::Accept { header: Some((_, value)), .. } | Command::Reject { header: Some((_, value)), .. } =
            command
            && value.contains('\0')
        {
            // A C text ends there: it cannot be said.
            return Err("header-invalid".to_owned());
        }
        let raw = |field: &Option<[CString; 2]>| match field {
            Some([name, value]) => linkspan_header { name: name.as_ptr(), value: value.as_ptr() },
            None => linkspan_header { name: ptr::null(), value: ptr::null() },
        };
        let kind = |is_text: &bool| if *is_text { LINKSPAN_TEXT } else { LINKSPAN_BINARY };
        let start = |data: &[u8]| data.as_ptr().cast::<c_void>();
        // SAFETY: all pointers live until the calls return.
        let status = unsafe {
            match command {
                Command::Accept { subprotocol, header, without_deflate } => {
                    let protocol = subprotocol.as_ref().map(|name| CString::new(name.as_str()).unwrap());
                    let field = field(header);
                    let header = raw(&field);
                    let options = linkspan_accept_options {
                        size: size_of::<linkspan_accept_options>(),
                        protocol: protocol.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
                        headers: &header,
                        header_count: usize::from(field.is_some()),
                        without_deflate: (*without_deflate).into(),
                    };
                    linkspan_engine_accept(engine, now, &options)
                }
                Command::Reject { status, header, body } => {
                    let field = field(header);
                    let count = usize::from(field.is_some());
                    linkspan_engine_reject(engine, now, *status, &raw(&field), count, start(body), body.len())
                }
                Command::Send { is_text, data } => linkspan_engine_send(engine, kind(is_text), start(data), data.len()),
                Command::Fragment { is_text, fin, data } => {
                    linkspan_engine_send_fragment(engine, kind(is_text), start(data), data.len(), *fin)
                }
                Command::Ping(data) => linkspan_engine_ping(engine, start(data), data.len()),
                Command::Pong(data) => linkspan_engine_pong(engine, start(data), data.len()),
                Command::Close { code, reason } => {
                    linkspan_engine_close(engine, now, code.unwrap_or(0), reason.as_ptr().cast(), reason.len())
                }
                Command::Abort => linkspan_engine_abort(engine, now),
                Command::Pause => linkspan_engine_pause(engine),
                Command::Resume => linkspan_engine_resume(engine),
            }
        };
        if status == LINKSPAN_OK { Ok(()) } else { Err(misuse(status)) }
    }

    fn turn(&mut self, told: &mut Vec<Told>, output: &mut Vec<u8>, _: bool) -> bool {
        loop {
            told.extend(std::iter::from_fn(|| self.next_event()));
            // Said NONE: the buffer is the caller's again.
            self.lent.fill(0xaa);
            if !self.leave(output) {
                return false;
            }
        }
    }

    fn shutdown(&mut self) -> Option<&'static str> {
        // SAFETY: the engine lives.
        Some(match unsafe { linkspan_engine_shutdown(self.engine) } {
            LINKSPAN_SHUTDOWN_NOT => "not",
            LINKSPAN_SHUTDOWN_WRITE => "write",
            LINKSPAN_SHUTDOWN_BOTH => "both",
            shutdown => panic!("shutdown {shutdown} is not known"),
        })
    }

    fn timer(&mut self) -> Option<u64> {
        // SAFETY: the engine lives.
        let at = unsafe { linkspan_engine_next_timeout(self.engine) };
        (at != LINKSPAN_NEVER).then(|| at - self.now)
    }

    fn ask(&mut self, what: &str) -> Option<String> {
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        // SAFETY: the engine lives, and each text until the next call.
        unsafe {
            match what {
                "subprotocol" => Some(or_none(text(linkspan_engine_protocol(self.engine)))),
                "extensions" => Some(or_none(text(linkspan_engine_extensions(self.engine)))),
                "url" => Some(text(linkspan_engine_url(self.engine))),
                "buffered" => Some(linkspan_engine_buffered_amount(self.engine).to_string()),
                _ => None,
            }
        }
    }
}

/// The case's wishes, as a C program writes them; a timeout of 0 in a script is none.
fn config(case: &Case) -> linkspan_config {
    // SAFETY: all zero is the default.
    let mut config: linkspan_config = unsafe { MaybeUninit::zeroed().assume_init() };
    config.size = size_of::<linkspan_config>();
    config.deflate = case.extensions.is_some().into();
    for (key, value) in &case.config {
        let number = || value.parse::<u64>().unwrap();
        let timeout = || if number() == 0 { LINKSPAN_NEVER } else { number() };
        match key.as_str() {
            "max_head_bytes" => config.max_head_bytes = number() as u32,
            "max_headers" => config.max_headers = number() as u32,
            "max_body_bytes" => config.max_body_bytes = number() as u32,
            "max_message_bytes" => config.max_message_bytes = number(),
            "max_frame_bytes" => config.max_frame_bytes = number(),
            "max_fragments" => config.max_fragments = number() as u32,
            "max_outbox_bytes" => config.max_outbox_bytes = number(),
            "handshake_timeout" => config.handshake_timeout = timeout(),
            "message_timeout" => config.message_timeout = timeout(),
            "write_timeout" => config.write_timeout = timeout(),
            "ping_interval" => config.ping_interval = timeout(),
            "pong_timeout" => config.pong_timeout = timeout(),
            "close_timeout" => config.close_timeout = timeout(),
            "subprotocols" | "origins" => {}
            "origin" => config.require_origin = 1,
            "pong" => config.manual_pong = 1,
            "close_reply" => config.manual_close = 1,
            "delivery" => config.parts = 1,
            _ => {
                config.deflate = 1;
                match key.as_str() {
                    "deflate" => {}
                    "deflate.server_no_context_takeover" => config.server_no_context_takeover = 1,
                    "deflate.client_no_context_takeover" => config.client_no_context_takeover = 1,
                    "deflate.server_max_window_bits" => config.server_max_window_bits = number() as i32,
                    "deflate.client_max_window_bits" => config.client_max_window_bits = number() as i32,
                    "deflate.level" => config.deflate_level = number() as i32,
                    "deflate.min_bytes" => config.deflate_min_bytes = number().max(1),
                    _ => panic!("config {key} {value}: there is no such setting"),
                }
            }
        }
    }
    config
}

fn text(text: linkspan_text) -> String {
    // SAFETY: the library's own text, asked just now.
    unsafe { crate::guard::text(text.data, text.bytes) }.unwrap().to_owned()
}

/// The script's name for a refusal: a status is for many, the sentence for one.
fn misuse(status: linkspan_status) -> String {
    // SAFETY: the library's own text, ended by a NUL.
    let sentence = unsafe { CStr::from_ptr(linkspan_last_error()) }.to_str().unwrap();
    let names = [
        ("the connection is not open", "not-open"),
        ("the connection has ended", "closed"),
        ("no request waits", "no-request"),
        ("a control payload", "control-too-long"),
        ("close code", "close-code-invalid"),
        ("a close reason of", "reason-too-long"),
        ("a close reason needs", "reason-without-code"),
        ("the text is not valid UTF-8", "invalid-utf8"),
        ("more than", "outbox-full"),
        ("this fragment", "fragment-mismatch"),
        ("header", "header-invalid"),
        ("HTTP status", "status-invalid"),
        ("subprotocol", "protocol-invalid"),
    ];
    let name = names.iter().find(|(begin, _)| sentence.starts_with(begin));
    name.map_or_else(|| format!("status {status}: {sentence}"), |(_, name)| (*name).to_owned())
}

fn play_all(cut: Cut) {
    let cases = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/corpus"));
    let mut can = vec![Need::Clock, Need::Loss, Need::Stall, Need::Handshake, Need::Close, Need::Pause];
    if cfg!(feature = "deflate") {
        can.push(Need::Deflate);
    }
    let playable: Vec<&Case> = cases.iter().filter(|case| !lacks(case, &can)).collect();
    assert!(playable.len() > 100, "only {} cases can be played", playable.len());
    let prelude = Prelude::Handshake;
    let failures: Vec<String> =
        playable.iter().filter_map(|case| play(case, cut, prelude, &mut ByC::new(case, cut, prelude)).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_corpus_whole_through_c() {
    play_all(Cut::Whole);
}

#[test]
fn the_corpus_line_by_line_through_c() {
    play_all(Cut::Lines);
}

#[test]
fn the_corpus_byte_by_byte_through_c() {
    play_all(Cut::Bytes);
}

#[test]
fn the_corpus_cut_at_random_through_c() {
    for seed in 0..4 {
        play_all(Cut::Random(seed));
    }
}
