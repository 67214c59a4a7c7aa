//! How a call finds its loop. Inside a callback of the same loop it acts on the loop's [`Context`] at once;
//! anywhere else it is queued through the loop's [`Remote`], which is found by the loop's part of the
//! connection's name.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use linkspan::Error;
use linkspan::net::{ConnectionId, Context, Decision, Remote, Sent};
use linkspan::protocol::handshake::{Accept, Reject};

use crate::bytes::linkspan_connection;
use crate::changes::Changes;
use crate::event_loop::linkspan_loop;
use crate::guard::Outcome;
use crate::result::{Failure, LINKSPAN_BUFFERED, LINKSPAN_CLOSED, LINKSPAN_DROPPED, LINKSPAN_OK};

/// The callback that runs on this thread: on the stack of [`enter`].
struct Frame {
    /// A `&mut Context<'_>` without its lifetimes.
    context: *mut c_void,
    loop_id: u16,
    /// The request that on_request shows just now, and whether it has its answer.
    asking: Option<ConnectionId>,
    is_answered: bool,
}

thread_local! {
    /// The innermost callback's frame; null outside, and while its context is in use.
    static CURRENT: Cell<*mut Frame> = const { Cell::new(ptr::null_mut()) };
}

/// Runs one of C's callbacks of this loop: calls from inside it find `cx`.
#[inline]
pub(crate) fn within(cx: &mut Context<'_>, loop_id: u16, callback: impl FnOnce()) {
    enter(cx, loop_id, None, callback);
}

/// Runs C's on_request: `None` when it has neither answered nor deferred.
pub(crate) fn asking(cx: &mut Context<'_>, id: ConnectionId, callback: impl FnOnce()) -> Option<Decision> {
    enter(cx, id.loop_id(), Some(id), callback).then_some(Decision::Defer)
}

#[inline]
fn enter(cx: &mut Context<'_>, loop_id: u16, asking: Option<ConnectionId>, callback: impl FnOnce()) -> bool {
    let mut frame = Frame { context: ptr::from_mut(cx).cast(), loop_id, asking, is_answered: false };
    let frame = &raw mut frame;
    let outer = CURRENT.replace(frame);
    let _restore = Restore(outer);
    callback();
    // SAFETY: the frame is this function's own; CURRENT's users have all returned.
    unsafe { (*frame).is_answered }
}

/// Puts a frame back, however the code between ends.
struct Restore(*mut Frame);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// A loop, from inside one of its callbacks on this thread. CURRENT is empty meanwhile, and full again
/// however this ends.
struct Inside(Restore);

impl Inside {
    /// The loop of this number; `None` when this thread is not inside one of its callbacks.
    #[inline]
    fn of(loop_id: u16) -> Option<Inside> {
        let frame = CURRENT.get();
        // SAFETY: a frame in CURRENT is on the stack of `enter` further up on this thread.
        if frame.is_null() || unsafe { (*frame).loop_id } != loop_id {
            return None;
        }
        CURRENT.set(ptr::null_mut());
        Some(Inside(Restore(frame)))
    }

    /// Acts on the loop at once.
    #[inline]
    fn act<T>(&mut self, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
        // SAFETY: `context` was made from `enter`'s `&mut Context`, which nobody touches while the callback
        // that we are called from runs: the loop waits for the callback, and CURRENT, which is how we came
        // here, is empty as long as `self` lives. The lifetimes that were left out are those of `act`'s own
        // call: it must take any, so it keeps nothing.
        act(unsafe { &mut *(*self.0.0).context.cast::<Context<'_>>() })
    }

    /// Says that on_request's answer is given or will be; false when it is not this request that it shows.
    fn answer(&mut self, id: ConnectionId) -> bool {
        // SAFETY: as in `of`; `enter` looks at it only when the callback has returned.
        let frame = unsafe { &mut *self.0.0 };
        let is_asked = frame.asking == Some(id);
        frame.is_answered |= is_asked;
        is_asked
    }
}

/// Whether this thread is inside any callback.
pub(crate) fn is_inside_any() -> bool {
    !CURRENT.get().is_null()
}

/// Acts on a loop from inside its callbacks, or gives `act` back.
pub(crate) fn inside<T, F: FnOnce(&mut Context<'_>) -> T>(loop_id: u16, act: F) -> Result<T, F> {
    match Inside::of(loop_id) {
        Some(mut inside) => Ok(inside.act(act)),
        None => Err(act),
    }
}

/// Loops that live, by the number that is in the name of each of their connections.
static LOOPS: RwLock<Vec<Option<Known>>> = RwLock::new(Vec::new());

#[derive(Clone)]
struct Known {
    remote: Remote,
    /// For questions between turns; a server's own loops turn all the time.
    owner: Weak<linkspan_loop>,
    /// What has changed for its connections.
    changes: Arc<Changes>,
}

/// Makes a loop known to every thread.
pub(crate) fn register(remote: Remote, owner: Weak<linkspan_loop>) -> Arc<Changes> {
    let changes = Arc::<Changes>::default();
    let mut loops = LOOPS.write().unwrap_or_else(PoisonError::into_inner);
    let place = usize::from(remote.loop_id());
    if loops.len() <= place {
        loops.resize(place + 1, None);
    }
    let earlier = loops[place].replace(Known { remote, owner, changes: changes.clone() });
    drop(loops);
    drop(earlier);
    changes
}

/// A loop as its callbacks know it, from the first of them on.
pub(crate) struct Joined {
    /// What has changed for its connections.
    pub(crate) changes: Arc<Changes>,
    /// Of a server's own loop, which these callbacks made known: it has no other.
    own: Option<u16>,
}

impl Joined {
    /// The loop that turns here; makes it known where it is not.
    #[cold]
    pub(crate) fn new(cx: &Context<'_>) -> Joined {
        let remote = cx.remote();
        let loop_id = remote.loop_id();
        match find(loop_id) {
            Ok(known) => Joined { changes: known.changes, own: None },
            Err(_) => Joined { changes: register(remote, Weak::new()), own: Some(loop_id) },
        }
    }
}

impl Drop for Joined {
    /// With its callbacks the loop has ended, the last of which has returned.
    fn drop(&mut self) {
        if let Some(loop_id) = self.own {
            unregister(loop_id);
        }
    }
}

/// What has changed for the connections of a loop, asked inside one of its callbacks.
pub(crate) fn changes(loop_id: u16) -> Result<Arc<Changes>, Failure> {
    Ok(find(loop_id)?.changes)
}

/// The loop has ended.
pub(crate) fn unregister(loop_id: u16) {
    let mut loops = LOOPS.write().unwrap_or_else(PoisonError::into_inner);
    let known = loops.get_mut(usize::from(loop_id)).and_then(Option::take);
    // Dropped without the lock: what waits in its queue may be C's, and call back.
    drop(loops);
    drop(known);
}

fn find(loop_id: u16) -> Result<Known, Failure> {
    // Copied out: no lock is held while the loop's queue is.
    let loops = LOOPS.read().unwrap_or_else(PoisonError::into_inner);
    loops.get(usize::from(loop_id)).cloned().flatten().ok_or(Failure::bare(LINKSPAN_CLOSED))
}

/// A verb on a connection, from any thread: at once inside the loop's callbacks, else queued. What both
/// need is handed through, so that it is not copied for the one that does not run.
#[inline]
pub(crate) fn verb<D, T: Into<Done>>(
    connection: linkspan_connection,
    data: D,
    at_once: impl FnOnce(&mut Context<'_>, ConnectionId, D) -> Result<T, Error>,
    queued: impl FnOnce(&Remote, ConnectionId, D) -> Result<T, Error>,
) -> Outcome {
    let id = ConnectionId::from(connection);
    let done = match Inside::of(id.loop_id()) {
        Some(mut inside) => inside.act(|cx| at_once(cx, id, data)),
        None => queued(&find(id.loop_id())?.remote, id, data),
    };
    Ok(done?.into().0)
}

/// Publishes: at once inside a callback of one of these loops, which share their topics, else through queues.
pub(crate) fn publish(
    loops: &[Remote],
    at_once: impl FnOnce(&mut Context<'_>) -> Result<(), Error>,
    queued: impl FnOnce() -> Result<(), Error>,
) -> Outcome {
    match loops.iter().find_map(|remote| Inside::of(remote.loop_id())) {
        Some(mut inside) => inside.act(at_once)?,
        None => queued()?,
    }
    Ok(LINKSPAN_OK)
}

/// What a verb's success is to C.
pub(crate) struct Done(i32);

impl From<()> for Done {
    fn from((): ()) -> Done {
        Done(LINKSPAN_OK)
    }
}

/// Whether it was so before is nothing that C is told.
impl From<bool> for Done {
    fn from(_: bool) -> Done {
        Done(LINKSPAN_OK)
    }
}

impl From<Sent> for Done {
    fn from(sent: Sent) -> Done {
        match sent {
            Sent::Accepted => Done(LINKSPAN_OK),
            Sent::Buffered => Done(LINKSPAN_BUFFERED),
            Sent::Dropped => Done(LINKSPAN_DROPPED),
        }
    }
}

/// A question that the loop's thread may ask, inside its callbacks or between its turns.
pub(crate) fn ask<T>(
    connection: linkspan_connection,
    question: impl FnOnce(&mut Context<'_>, ConnectionId) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let id = ConnectionId::from(connection);
    let question = |cx: &mut Context<'_>| {
        // The word is the application's while the connection is.
        cx.user(id).ok_or(Failure::bare(LINKSPAN_CLOSED))?;
        question(cx, id)
    };
    match inside(id.loop_id(), question) {
        Ok(answer) => answer,
        Err(question) => {
            let owner = find(id.loop_id())?.owner.upgrade();
            owner.ok_or_else(Failure::wrong_thread)?.between_turns(question)?
        }
    }
}

/// A question that every thread may ask.
pub(crate) fn ask_anywhere<T>(
    connection: linkspan_connection,
    at_once: impl FnOnce(&mut Context<'_>, ConnectionId) -> T,
    elsewhere: impl FnOnce(&Remote, ConnectionId) -> T,
) -> Result<T, Failure> {
    let id = ConnectionId::from(connection);
    match Inside::of(id.loop_id()) {
        Some(mut inside) => Ok(inside.act(|cx| at_once(cx, id))),
        None => Ok(elsewhere(&find(id.loop_id())?.remote, id)),
    }
}

/// Accepts a request.
pub(crate) fn accept(connection: linkspan_connection, accept: Accept) -> Outcome {
    answer(connection, |cx, id| cx.accept(id, &accept), |remote, id| remote.accept(id, accept.clone()))
}

/// Answers a request with an HTTP response.
pub(crate) fn reject(connection: linkspan_connection, reject: Reject) -> Outcome {
    answer(connection, |cx, id| cx.reject(id, &reject), |remote, id| remote.reject(id, reject.clone()))
}

fn answer(
    connection: linkspan_connection,
    at_once: impl FnOnce(&mut Context<'_>, ConnectionId) -> Result<(), Error>,
    queued: impl FnOnce(&Remote, ConnectionId) -> Result<(), Error>,
) -> Outcome {
    let id = ConnectionId::from(connection);
    match Inside::of(id.loop_id()) {
        Some(mut inside) => {
            inside.act(|cx| at_once(cx, id))?;
            inside.answer(id);
        }
        None => queued(&find(id.loop_id())?.remote, id)?,
    }
    Ok(LINKSPAN_OK)
}

/// Says that on_request's answer comes later.
pub(crate) fn defer(connection: linkspan_connection) -> Outcome {
    let id = ConnectionId::from(connection);
    let is_asked = Inside::of(id.loop_id()).is_some_and(|mut inside| inside.answer(id));
    if is_asked { Ok(LINKSPAN_OK) } else { Err(Failure::wrong_thread()) }
}

/// Ends a connection that a bug has met.
pub(crate) fn abort(connection: linkspan_connection) -> Outcome {
    verb(connection, (), |cx, id, ()| cx.abort(id), |remote, id, ()| remote.abort(id))
}
