//! A script's settings as this crate's values.

use std::sync::Arc;

use linkspan::protocol::deflate::Parameters;
use linkspan::protocol::handshake::{Accept, Agreed, Reject, Uri, parse_extensions};
use linkspan::protocol::{
    CloseInfo, CloseReply, Config, DeflateConfig, Delivery, Engine, Keys, MessageKind, Misuse, PongPolicy, Side, Time,
};

use super::play::Prelude;
use super::wire::{Case, Command, Start, Told};

/// `Config` of the case.
pub fn config(case: &Case) -> Arc<Config> {
    let mut config = Config::default();
    if case.extensions.is_some() {
        config.deflate = Some(DeflateConfig::default());
    }
    config.subprotocols.extend(case.subprotocol.clone());
    for (key, value) in &case.config {
        set(&mut config, key, value);
    }
    Arc::new(config)
}

fn set(config: &mut Config, key: &str, value: &str) {
    let number = || value.parse::<u64>().unwrap_or_else(|_| panic!("config {key} {value}: no number"));
    let list = || value.split(',').map(|item| item.trim().to_owned()).collect();
    if let Some(key) = key.strip_prefix("deflate.") {
        let deflate = config.deflate.get_or_insert_default();
        match key {
            "server_no_context_takeover" => deflate.server_no_context_takeover = true,
            "client_no_context_takeover" => deflate.client_no_context_takeover = true,
            "server_max_window_bits" => deflate.server_max_window_bits = number() as u8,
            "client_max_window_bits" => deflate.client_max_window_bits = number() as u8,
            "level" => deflate.level = number() as u8,
            "min_bytes" => deflate.min_bytes = number() as usize,
            _ => panic!("config deflate.{key}: there is no such wish"),
        }
        return;
    }
    match key {
        "max_head_bytes" => config.max_head_bytes = number() as usize,
        "max_headers" => config.max_headers = number() as usize,
        "max_body_bytes" => config.max_body_bytes = number() as usize,
        "max_message_bytes" => config.max_message_bytes = number(),
        "max_frame_bytes" => config.max_frame_bytes = number(),
        "max_fragments" => config.max_fragments = number() as u32,
        "max_topics" => config.max_topics = number() as usize,
        "max_outbox_bytes" => config.max_outbox_bytes = number() as usize,
        "handshake_timeout" => config.handshake_timeout = number(),
        "message_timeout" => config.message_timeout = number(),
        "write_timeout" => config.write_timeout = number(),
        "ping_interval" => config.ping_interval = number(),
        "pong_timeout" => config.pong_timeout = number(),
        "close_timeout" => config.close_timeout = number(),
        "subprotocols" => config.subprotocols = list(),
        "origins" => config.origins = list(),
        "origin" if value == "required" => config.requires_origin = true,
        "deflate" => config.deflate = Some(DeflateConfig::default()),
        "pong" if value == "manual" => config.pong = PongPolicy::Manual,
        "close_reply" if value == "application" => config.close_reply = CloseReply::Application,
        "delivery" if value == "parts" => config.delivery = Delivery::Parts,
        _ => panic!("config {key} {value}: there is no such setting"),
    }
}

/// The engine that the case begins with.
pub fn engine(case: &Case, prelude: Prelude, now: Time) -> Engine {
    let config = config(case);
    config.check().unwrap();
    let keys = || Keys::new([7; 32]);
    match (&case.start, prelude) {
        (Start::Open, Prelude::Adopted) => {
            let keys = if case.is_server { None } else { Some(keys()) };
            Engine::adopted(config, agreed(case), "/", keys, now)
        }
        _ if case.is_server => Engine::server(config, now),
        (start, _) => {
            let url = if let Start::Handshake(Some(url)) = start { url } else { "ws://a.example/" };
            Engine::client(config, &Uri::parse(url).unwrap(), &[], keys(), now).unwrap()
        }
    }
}

fn agreed(case: &Case) -> Agreed {
    let deflate = case.extensions.as_ref().map(|extensions| {
        let extension = parse_extensions(extensions).unwrap().remove(0);
        Parameters::accept_answer(&extension, &DeflateConfig::default()).unwrap()
    });
    Agreed { subprotocol: case.subprotocol.clone(), deflate }
}

pub fn kind(is_text: bool) -> MessageKind {
    if is_text { MessageKind::Text } else { MessageKind::Binary }
}

pub fn accept(subprotocol: &Option<String>, header: &Option<(String, String)>, without_deflate: bool) -> Accept {
    Accept { subprotocol: subprotocol.clone(), headers: header.iter().cloned().collect(), without_deflate }
}

pub fn reject(status: u16, header: &Option<(String, String)>, body: &[u8]) -> Reject {
    Reject { status, headers: header.iter().cloned().collect(), body: body.to_vec() }
}

/// A command, done by an engine.
pub fn command(engine: &mut Engine, now: Time, command: &Command) -> Result<(), Misuse> {
    match command {
        Command::Accept { subprotocol, header, without_deflate } => {
            engine.accept(now, &accept(subprotocol, header, *without_deflate))
        }
        Command::Reject { status, header, body } => engine.reject(now, &reject(*status, header, body)),
        Command::Send { is_text, data } => engine.send(kind(*is_text), data),
        Command::Fragment { is_text, fin, data } => engine.send_fragment(kind(*is_text), data, *fin),
        Command::Ping(data) => engine.ping(data),
        Command::Pong(data) => engine.pong(data),
        Command::Close { code, reason } => engine.close(now, code.map(linkspan::protocol::CloseCode::new), reason),
        Command::Abort => {
            engine.abort(now);
            Ok(())
        }
        Command::Pause => {
            engine.pause();
            Ok(())
        }
        Command::Resume => {
            engine.resume();
            Ok(())
        }
    }
}

/// The variant's name, in lower case with hyphens.
pub fn name(misuse: &Misuse) -> String {
    let debug = format!("{misuse:?}");
    let variant: String = debug.chars().take_while(|c| c.is_alphanumeric()).collect();
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    // "Utf8" is one word.
    name.replace("utf-8", "utf8")
}

/// The end, as a script tells it.
pub fn closed(info: &CloseInfo) -> Told {
    if let Some(fault) = &info.fault {
        assert_eq!(info.reason, fault.to_string());
        assert!(!info.clean);
    }
    Told::Closed {
        code: info.code.as_u16(),
        is_clean: info.clean,
        by_us: info.begun_by == Side::Local,
        rule: info.fault.as_ref().map(|fault| fault.rule().to_owned()),
        reason: info.reason.clone(),
        unsent: info.unsent_bytes,
    }
}
