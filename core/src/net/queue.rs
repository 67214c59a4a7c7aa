//! [`Queue`]: what other threads ask of a loop, and the rule by which they wake it: once for all that it finds
//! when it looks. net/models.rs tries every order of its steps.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// In order for each thread, until the loop ends.
pub(super) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    /// The loop was woken and has not looked yet.
    is_woken: AtomicBool,
    /// The loop is no more. Written with the lock held.
    is_gone: AtomicBool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { items: Mutex::new(VecDeque::new()), is_woken: AtomicBool::new(false), is_gone: AtomicBool::new(false) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues something; false when the loop is no more. The loop is to be woken then: see
    /// [`Queue::begin_wake`].
    pub(super) fn push(&self, item: T) -> bool {
        let mut items = self.lock();
        // Asked with the lock held: nothing comes behind the last look.
        if self.is_gone() {
            return false;
        }
        items.push_back(item);
        true
    }

    /// Whether the loop is to be woken: whoever is told so must do it. To be asked after something was queued.
    pub(super) fn begin_wake(&self) -> bool {
        !self.is_woken.swap(true, Ordering::SeqCst)
    }

    /// Whether something was queued since the last [`Queue::take`].
    #[inline]
    pub(super) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Relaxed)
    }

    /// The loop takes everything that was queued; what comes later wakes it again.
    pub(super) fn take(&self) -> VecDeque<T> {
        // In this order: what is queued in between is taken, and wakes once too often. A swap, no store: it stands
        // behind every swap that has seen what it replaces.
        self.is_woken.swap(false, Ordering::SeqCst);
        std::mem::take(&mut *self.lock())
    }

    /// The loop is no more.
    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// The loop ends: nothing is queued any more; what was is given back, to be dropped without the lock.
    pub(super) fn end(&self) -> VecDeque<T> {
        let mut items = self.lock();
        self.is_gone.store(true, Ordering::SeqCst);
        std::mem::take(&mut *items)
    }
}
