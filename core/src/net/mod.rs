//! Driver 1: many sockets, one thread per loop.

mod connector;
mod listener;
mod resolver;

pub use self::connector::{ConnectOptions, Connecting, Step};
pub use self::listener::{Heads, ListenOptions, Listener};
pub use self::resolver::{Answer, Resolve, SystemResolver};
