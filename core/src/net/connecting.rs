//! provisional
use super::connection::ConnectionId;
use super::inner::Inner;
use super::turn::Turn;
pub(super) fn start(_: &mut Inner, _: ConnectionId) {}
pub(super) fn go_on(_: &mut Inner, _: ConnectionId) {}
pub(super) fn conclude(_: &mut Turn<'_>) {}
