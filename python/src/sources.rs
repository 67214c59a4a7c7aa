//! [`Sources`]: the descriptors of one epoll set, and who waits on which.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// A direction of a descriptor. Each has room for one that waits: a connection's own locks keep a second reader and a
/// second writer from coming here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Reading,
    Writing,
}

/// One descriptor of the set. What the system says of it once is remembered here.
pub(crate) struct Source {
    /// Its slot, and above that the slot's generation, so that a late event finds nobody else.
    key: u64,
    /// Whether one direction may have to wait for the other, as in TLS.
    is_mixed: bool,
    /// Bits as below. Set under the baton's lock or by who attempts; cleared by the latter, before it does.
    news: AtomicU8,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
/// These two stay.
const READABLE_FOR_GOOD: u8 = 4;
const WRITABLE_FOR_GOOD: u8 = 8;

impl Source {
    /// Before an attempt: what comes from now on is news.
    pub(crate) fn forget_news(&self, side: Side) {
        self.news.fetch_and(!side.news(), Ordering::Relaxed);
    }

    /// The attempt has not found the end of what there is.
    pub(crate) fn has_more(&self, side: Side) {
        self.news.fetch_or(side.news(), Ordering::Relaxed);
    }

    /// Whether an attempt may succeed.
    pub(crate) fn has_news(&self, side: Side) -> bool {
        self.news.load(Ordering::Relaxed) & (side.news() | side.news() << 2) != 0
    }
}

impl Side {
    fn news(self) -> u8 {
        match self {
            Side::Reading => READABLE,
            Side::Writing => WRITABLE,
        }
    }
}

/// The set itself: the kernel's, which needs no lock of ours.
pub(crate) struct Set {
    epoll: Epoll,
    bell: EventFd,
}

/// The key of the bell; no source has it.
const BELL: u64 = u64::MAX;
/// How many events are taken at once.
pub(crate) const MAX_EVENTS: usize = 64;

impl Set {
    pub(crate) fn new() -> io::Result<Set> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, BELL))?;
        Ok(Set { epoll, bell })
    }

    /// Waits for events; none when the time is up, the bell has rung or a signal has come.
    pub(crate) fn wait<'e>(&self, events: &'e mut [EpollEvent], longest: EpollTimeout) -> &'e [EpollEvent] {
        let count = self.epoll.wait(events, longest).unwrap_or(0);
        &events[..count]
    }

    /// Its own descriptor, readable while events wait to be taken.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Ends the wait that is under way, or the next one.
    pub(crate) fn ring(&self) {
        // At worst so many rings are unread already that one more cannot be counted.
        let _ = self.bell.write(1);
    }

    pub(crate) fn add(&self, source: &Source, fd: BorrowedFd<'_>) -> io::Result<()> {
        // All that will ever be asked, so that waiting costs no further call.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(fd, EpollEvent::new(flags, source.key)).map_err(io::Error::from)
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.epoll.delete(fd);
    }
}

/// Who waits on which source: threads, under the baton's lock, or the receivers of a loop, under its crowd's.
pub(crate) struct Sources<W> {
    slots: Vec<Slot<W>>,
    free: Vec<usize>,
}

struct Slot<W> {
    generation: u32,
    source: Option<Arc<Source>>,
    reader: Option<W>,
    writer: Option<W>,
}

impl<W> Default for Sources<W> {
    fn default() -> Sources<W> {
        Sources { slots: Vec::new(), free: Vec::new() }
    }
}

impl<W> Slot<W> {
    fn free(generation: u32) -> Slot<W> {
        Slot { generation, source: None, reader: None, writer: None }
    }
}

impl<W> Sources<W> {
    pub(crate) fn insert(&mut self, is_mixed: bool) -> Arc<Source> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::free(0));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        let key = (u64::from(slot.generation) << 32) | index as u64;
        // Nothing is known yet, so everything is worth an attempt.
        let source = Arc::new(Source { key, is_mixed, news: AtomicU8::new(READABLE | WRITABLE) });
        slot.source = Some(source.clone());
        source
    }

    pub(crate) fn remove(&mut self, source: &Source) {
        let index = index(source.key);
        let generation = self.slots[index].generation.wrapping_add(1);
        self.slots[index] = Slot::free(generation);
        self.free.push(index);
    }

    /// The one that waits on this side of the source, which must be in the set: its slot is another's later.
    pub(crate) fn waiter(&mut self, source: &Source, side: Side) -> &mut Option<W> {
        let slot = &mut self.slots[index(source.key)];
        match side {
            Side::Reading => &mut slot.reader,
            Side::Writing => &mut slot.writer,
        }
    }

    /// Remembers an event, and calls `wake` for who waits for it.
    pub(crate) fn note(&mut self, event: &EpollEvent, mut wake: impl FnMut(W)) {
        let key = event.data();
        let Some(slot) = self.slots.get_mut(index(key)) else { return };
        // An event of a source that has been removed names one that is no more.
        let Some(source) = slot.source.as_ref().filter(|source| source.key == key) else { return };
        let flags = event.events();
        let mut news = 0;
        if flags.contains(EpollFlags::EPOLLIN) {
            news |= READABLE;
        }
        if flags.contains(EpollFlags::EPOLLOUT) {
            news |= WRITABLE;
        }
        if flags.contains(EpollFlags::EPOLLRDHUP) {
            news |= READABLE | READABLE_FOR_GOOD;
        }
        if flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            news |= READABLE | READABLE_FOR_GOOD | WRITABLE | WRITABLE_FOR_GOOD;
        }
        if source.is_mixed {
            news |= READABLE | WRITABLE;
        }
        source.news.fetch_or(news, Ordering::Relaxed);
        if news & READABLE != 0 {
            slot.reader.take().map(&mut wake);
        }
        if news & WRITABLE != 0 {
            slot.writer.take().map(&mut wake);
        }
    }
}

fn index(key: u64) -> usize {
    (key & 0xffff_ffff) as usize
}
