//! Resolving names
//!
//! A client whose callbacks have on_resolve is asked for the addresses of its hosts: with a resolver of your own,
//! a cache, or a test. Each question is answered once; until then the connection waits, as long as
//! linkspan_client_options.resolve_timeout allows.

use std::collections::HashMap;
use std::ffi::c_char;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use linkspan::Error;
use linkspan::net::{ConnectionId, Question};

use crate::guard::{self, guard};
use crate::result::{Failure, LINKSPAN_CLOSED, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_OK, linkspan_status};

/// A question of on_resolve's that waits for its answer. A plain number, as linkspan_connection is: copy it, use it
/// on any thread. Once it is answered, the connection has ended or has asked again, calls with it return
/// LINKSPAN_CLOSED.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct linkspan_resolution {
    /// Compare it, do not read it.
    pub id: u64,
}

/// Answers with `count` addresses, best first: texts like "192.0.2.1" or "2001:db8::1", each ended by a NUL.
/// Families are tried in turn, 250 ms apart (RFC 8305). Without any the host has no address, which is an error.
/// LINKSPAN_INVALID_ARGUMENT for a text that is no address, and the question still waits. An answer that comes
/// after the timeout, or after the loop was freed, does no harm.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_resolution_answer(
    resolution: linkspan_resolution,
    addresses: *const *const c_char,
    count: usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let addresses = unsafe { guard::strings(addresses, count) }?;
        let addresses: Vec<IpAddr> = addresses.into_iter().map(address).collect::<Result<_, _>>()?;
        let Question { answer, port, .. } = take(resolution)?;
        answer(Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()));
        Ok(LINKSPAN_OK)
    })
}

/// Answers that the host cannot be found; on_error tells `why`, a few words ended by a NUL: "no such name".
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_resolution_fail(
    resolution: linkspan_resolution,
    why: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointer is as the comment says.
        let why = unsafe { guard::string(why) }?.to_owned();
        let Question { answer, host, .. } = take(resolution)?;
        answer(Err(Error::Resolve { host, why }));
        Ok(LINKSPAN_OK)
    })
}

/// Keeps a question until it is answered; one that the connection asked before is forgotten.
pub(crate) fn begin(id: ConnectionId, question: Question) -> linkspan_resolution {
    forget(id);
    let mut waiting = waiting();
    waiting.next += 1;
    let number = waiting.next;
    waiting.questions.insert(number, (id, question));
    COUNT.store(waiting.questions.len(), Ordering::Relaxed);
    linkspan_resolution { id: number }
}

/// The connection has no use for an answer any more.
pub(crate) fn forget(id: ConnectionId) {
    if COUNT.load(Ordering::Relaxed) != 0 {
        let mut waiting = waiting();
        waiting.questions.retain(|_, (asker, _)| *asker != id);
        COUNT.store(waiting.questions.len(), Ordering::Relaxed);
    }
}

fn take(resolution: linkspan_resolution) -> Result<Question, Failure> {
    let mut waiting = waiting();
    let (_, question) = waiting.questions.remove(&resolution.id).ok_or(Failure::bare(LINKSPAN_CLOSED))?;
    COUNT.store(waiting.questions.len(), Ordering::Relaxed);
    Ok(question)
}

fn address(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure::new(LINKSPAN_INVALID_ARGUMENT, format!("{text:?} is no address in numbers")))
}

/// How many wait, so that those who never ask do not lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waiting {
    questions: HashMap<u64, (ConnectionId, Question)>,
    next: u64,
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}
