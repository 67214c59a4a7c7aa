//! The engine: one WebSocket from its first handshake byte to its last, as pure state.
//!
//! Bytes, time and randomness come in by argument; events and bytes go out. Nothing here knows sockets,
//! clocks or threads, so a test can play any peer, at any speed, against a clock of its own.
//!
//! ```text
//! make      Engine::server · client · adopted (a handshake done elsewhere)
//! world in  next_event(now, &mut input)   end_of_input(now)   handle_timeout(now)   lost(now)
//! app in    accept · reject · send · send_fragment · ping · pong · close · abort · pause · resume
//! out       outgoing → sent(n)   next_timeout   shutdown
//! big       room → filled(n): a large message is read straight into its buffer
//! ask       phase · buffered_amount · subprotocol · extensions · url · response · close_info
//! ```
//!
//! The law for every driver: **1** one thing happens (bytes, the end, a timeout, a command) → **2**
//! [`next_event`](Engine::next_event) until `None` → **3** write [`outgoing`](Engine::outgoing), say
//! [`sent`](Engine::sent); 2 and 3 until nothing moves → **4** obey [`shutdown`](Engine::shutdown) → **5**
//! arm [`next_timeout`](Engine::next_timeout) → wait.
//!
//! What the peer does wrong is a [`Fault`]: it never leaves as an error, but as a close frame (or an HTTP
//! answer) and one [`Event::Closed`]. What the application does wrong is a [`Misuse`]: nothing has changed.
//!
//! The layer below is public too, one honest frame at a time and without the engine's judgement: [`frame`],
//! [`mask`], [`utf8`], [`deflate`], [`handshake`].

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
mod published;
mod time;
pub mod utf8;

pub use self::close::{CloseCode, CloseInfo, MAX_REASON_BYTES, Side, check_close};
pub use self::config::{CloseReply, Config, DeflateConfig, Delivery, PongPolicy, SlowReader};
pub(crate) use self::engine::{About, DIRECT};
pub use self::engine::{Engine, Phase, Role, Shutdown};
pub use self::event::{Event, Input, Message, MessageKind, Payload, Pool};
pub use self::fault::{Fault, Misuse};
pub use self::mask::Keys;
pub use self::outbox::{Chunk, MAX_SLICES, Outbox};
pub use self::published::Published;
pub use self::time::Time;
