//! The engine: one WebSocket from its first handshake byte to its last, as pure state.
//!
//! Bytes, time and randomness come in by argument; events and bytes go out. Nothing here knows sockets,
//! clocks or threads.

mod close;
mod config;
pub mod deflate;
mod engine;
mod event;
mod fault;
pub mod frame;
pub mod handshake;
pub mod mask;
mod outbox;
mod time;
pub mod utf8;

pub use self::close::{CloseCode, CloseInfo, MAX_REASON_BYTES, Side};
pub use self::config::{CloseReply, Config, DeflateConfig, Delivery, PongPolicy};
pub use self::engine::{Engine, Phase, Role, Shutdown};
pub use self::event::{Event, Input, Message, MessageKind, Payload, Pool};
pub use self::fault::{Fault, Misuse};
pub use self::mask::Keys;
pub use self::outbox::{Chunk, MAX_SLICES, Outbox};
pub use self::time::Time;
