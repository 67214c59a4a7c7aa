//! Sockets that systemd has opened for this process, before it was started (sd_listen_fds(3)): from
//! descriptor 3 on, as many as `LISTEN_FDS` says, for the process that `LISTEN_PID` names.

use std::env;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};

/// The first of them.
const FIRST: usize = 3;
/// More than this are a mistake.
const MOST: usize = 1024;

/// What was passed and not taken yet; absent until it was looked at.
static PASSED: Mutex<Option<Vec<Passed>>> = Mutex::new(None);

struct Passed {
    name: Option<String>,
    fd: OwnedFd,
}

/// Takes those of this name, or all.
pub(super) fn take(name: Option<&str>) -> io::Result<Vec<OwnedFd>> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = match &mut *passed {
        Some(all) => all,
        none => none.insert(look()?),
    };
    let is_meant = |one: &Passed| name.is_none_or(|name| one.name.as_deref() == Some(name));
    let (taken, left): (Vec<Passed>, Vec<Passed>) = std::mem::take(all).into_iter().partition(is_meant);
    *all = left;
    if taken.is_empty() {
        let names: Vec<&str> = all.iter().filter_map(|one| one.name.as_deref()).collect();
        return Err(wrong(match name {
            Some(name) if names.is_empty() => format!("none is named {name}"),
            Some(name) => format!("none is named {name}, but {}", names.join(", ")),
            None => "all were taken already".into(),
        }));
    }
    Ok(taken.into_iter().map(|one| one.fd).collect())
}

/// Everything that was passed.
fn look() -> io::Result<Vec<Passed>> {
    let count = count(env::var("LISTEN_PID").ok(), env::var("LISTEN_FDS").ok())?;
    for fd in FIRST..FIRST + count {
        // Asked before anything is taken over: what is somebody else's must stay so.
        let is_socket = |link: PathBuf| link.to_string_lossy().starts_with("socket:");
        if !fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(is_socket) {
            return Err(wrong(format!("LISTEN_FDS is {count}, but descriptor {fd} is no open socket")));
        }
    }
    let passed = sd_listen_fds::get().map_err(|error| wrong(error.to_string()))?;
    let own = |(name, fd): (Option<String>, sd_listen_fds::OwnedFd)| {
        let fd = fd.into_std();
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        Ok(Passed { name: name.filter(|name| !name.is_empty()), fd })
    };
    passed.into_iter().map(own).collect()
}

/// How many were passed to this process.
fn count(process: Option<String>, count: Option<String>) -> io::Result<usize> {
    let (Some(process), Some(count)) = (process, count) else {
        return Err(wrong(
            "this process was not started by systemd with sockets: LISTEN_PID and LISTEN_FDS are not set",
        ));
    };
    if process.parse() != Ok(std::process::id()) {
        return Err(wrong(format!("the sockets are for process {process}, and this is {}", std::process::id())));
    }
    match count.parse() {
        Ok(0) => Err(wrong("LISTEN_FDS is 0: the unit has no sockets")),
        Ok(count) if count <= MOST => Ok(count),
        _ => Err(wrong(format!("LISTEN_FDS is {count}, and not a number from 1 to {MOST}"))),
    }
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_environment_is_said() {
        let me = std::process::id().to_string();
        let said = |process: Option<&str>, fds: Option<&str>| {
            count(process.map(str::to_owned), fds.map(str::to_owned)).map_err(|error| error.to_string())
        };
        assert_eq!(said(Some(&me), Some("2")), Ok(2));
        assert!(said(None, Some("2")).unwrap_err().contains("not started by systemd"));
        assert!(said(Some(&me), None).unwrap_err().contains("not started by systemd"));
        assert!(said(Some("1"), Some("2")).unwrap_err().contains("for process 1"));
        assert!(said(Some("x"), Some("2")).unwrap_err().contains("for process x"));
        assert!(said(Some(&me), Some("0")).unwrap_err().contains("no sockets"));
        assert!(said(Some(&me), Some("-1")).unwrap_err().contains("not a number"));
        assert!(said(Some(&me), Some("4000000000")).unwrap_err().contains("from 1 to 1024"));
    }
}
