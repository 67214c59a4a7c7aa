//! Driver 1: many sockets on one thread, by mio.
//!
//! One turn of the loop: **1** wait for readiness, a wake or a deadline → **2** what other threads have
//! asked for → **3** for each ready connection: read into the loop's one buffer, run the engine, tell the
//! handler, write what came of it → **4** deadlines → **5** what was published goes to its subscribers, and
//! connections go on that need no new readiness → again.

mod clients;
mod connecting;
mod connection;
mod context;
mod drain;
mod event_loop;
mod guests;
mod handler;
mod inner;
mod listener;
mod listening;
mod logging;
mod metrics;
#[cfg(all(test, loom))]
mod models;
mod proxied;
mod queue;
mod raw;
mod remote;
mod room;
mod server;
mod subscribers;
mod systemd;
mod table;
mod timers;
mod topics;
mod turn;

pub use self::connection::{ConnectionId, Released};
pub use self::context::{Adopt, Context, HandlerId, ListenerId, ReadyState, Sent};
pub use self::drain::DrainOptions;
pub use self::event_loop::EventLoop;
pub use self::handler::{Decision, Handler};
pub use self::listener::{Heads, ListenOptions, Listener};
pub use self::metrics::{FaultCounts, Metrics, RoundTrips};
pub use self::remote::Remote;
pub use self::server::{Server, ServerOptions};
pub use crate::connector::{
    Answer, ConnectOptions, Connecting, Found, ProxyChoice, Question, Reconnect, Resolve, Step, SystemResolver,
};
