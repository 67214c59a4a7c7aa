//! [`Reconnect`]: when a lost client connection is tried again, and when it is not worth it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::protocol::handshake::Response;
use crate::protocol::{CloseCode, CloseInfo, Fault};

/// Whether and when a client in a loop connects again after a loss.
///
/// Each delay is drawn evenly between zero and a ceiling that doubles from loss to loss ("full jitter"), so that
/// clients which a server has lost together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The ceiling of the first delay. Default zero: a loss is the end.
    pub initial_delay: Duration,
    /// The ceiling that the others grow to. Default 30 s: nobody waits much longer for a server that is back.
    pub max_delay: Duration,
    /// Most losses in a row that are tried again; 0 is no limit. Default 0.
    pub max_attempts: u32,
    /// A connection that was open for so long ends the row: the next loss is the first. Default 30 s: a server
    /// that accepts and falls over counts as failing.
    pub reset_after: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect {
            initial_delay: Duration::ZERO,
            max_delay: Duration::from_secs(30),
            max_attempts: 0,
            reset_after: Duration::from_secs(30),
        }
    }
}

impl Reconnect {
    /// Whether it is wanted at all.
    pub fn is_wanted(&self) -> bool {
        !self.initial_delay.is_zero()
    }

    /// The delay after a loss, `earlier` others having come before it in the row; none when these were enough.
    /// `random` is any number, each as likely as the others. What the server asks for (`Retry-After`) is waited
    /// first, `max_delay` at most.
    pub fn delay(&self, earlier: u32, random: u64, retry_after: Option<Duration>) -> Option<Duration> {
        if self.max_attempts != 0 && earlier >= self.max_attempts {
            return None;
        }
        let doubled = self.initial_delay.saturating_mul(1_u32.checked_shl(earlier).unwrap_or(u32::MAX));
        let ceiling = doubled.min(self.max_delay.max(self.initial_delay));
        let fraction = random as f64 / u64::MAX as f64;
        Some(retry_after.unwrap_or_default().min(self.max_delay) + ceiling.mul_f64(fraction))
    }
}

/// Whether the same would come of another try: a server that has closed on purpose, refuses us, or is not the one
/// that we trust.
pub(crate) fn is_final(info: &CloseInfo) -> bool {
    match &info.fault {
        Some(fault) => is_fault_final(fault),
        None => is_code_final(info.code),
    }
}

/// The same of what stopped a connection outside its engine.
pub(crate) fn is_error_final(error: &Error) -> bool {
    match error {
        Error::Fault(fault) => is_fault_final(fault),
        Error::Io { .. } | Error::Resolve { .. } => false,
        Error::Tls(_) | Error::Misuse(_) | Error::Gone => true,
    }
}

fn is_fault_final(fault: &Fault) -> bool {
    match fault {
        Fault::Refused(status) => is_refusal_final(*status),
        // A SOCKS proxy, or what is none, has no status: it may be another one next time.
        Fault::ProxyRefused { status, .. } => *status != 0 && is_refusal_final(*status),
        Fault::RedirectRefused(_) => true,
        // It was told 1008, but it was slow.
        Fault::MessageTimeout => false,
        fault => is_code_final(fault.close_code()),
    }
}

/// RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4: those that ask to come again; and the server's own failures.
fn is_refusal_final(status: u16) -> bool {
    !matches!(status, 408 | 425 | 429 | 500..=599)
}

/// The stream was lost, or the server goes away, has failed, restarts or is overloaded: those are tried again.
fn is_code_final(code: CloseCode) -> bool {
    const BAD_GATEWAY: CloseCode = CloseCode::new(1014);
    ![
        CloseCode::GOING_AWAY,
        CloseCode::ABNORMAL,
        CloseCode::INTERNAL_ERROR,
        CloseCode::SERVICE_RESTART,
        CloseCode::TRY_AGAIN_LATER,
        BAD_GATEWAY,
    ]
    .contains(&code)
}

/// How long the server wants to be left alone.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    read_retry_after(response.headers.get("Retry-After")?.trim(), now)
}

/// RFC 9110 10.2.3: seconds, or a date; one that is over is no time at all.
fn read_retry_after(value: &str, now: Duration) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(read_date(value)?.saturating_sub(now)),
    }
}

/// RFC 9110 5.6.7, the form that is to be written: `Sun, 06 Nov 1994 08:49:37 GMT`, since 1970.
fn read_date(value: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, time, "GMT"] = value.split(' ').collect::<Vec<_>>()[..] else { return None };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let number = |text: &str, least: u64, most: u64| -> Option<u64> {
        text.parse().ok().filter(|number| (least..=most).contains(number))
    };
    let (day, year) = (number(day, 1, 31)?, number(year, 1970, 9999)?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    // Years that begin with March end with the leap day: a month's first day is then a plain formula.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let before_1970 = 719_468;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - before_1970;
    let seconds = number(hour, 0, 23)? * 3600 + number(minute, 0, 59)? * 60 + number(second, 0, 60)?;
    Some(Duration::from_secs(days * 86_400 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Side;

    const SECOND: Duration = Duration::from_secs(1);

    fn wanted() -> Reconnect {
        Reconnect { initial_delay: SECOND, ..Reconnect::default() }
    }

    #[test]
    fn the_ceiling_doubles_up_to_its_limit() {
        let most = |earlier| wanted().delay(earlier, u64::MAX, None).unwrap().as_secs();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 31, 32, u32::MAX].map(most), [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
        let long = Reconnect { initial_delay: 60 * SECOND, ..Reconnect::default() };
        assert_eq!(long.delay(9, u64::MAX, None), Some(60 * SECOND));
    }

    #[test]
    fn a_delay_is_anywhere_below_its_ceiling() {
        for (random, expected) in [(0, 0), (u64::MAX / 4, 2), (u64::MAX / 2, 4), (u64::MAX, 8)] {
            assert_eq!(wanted().delay(3, random, None).unwrap().as_secs_f64().round() as u64, expected);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_first_and_is_bounded() {
        assert_eq!(wanted().delay(0, 0, Some(7 * SECOND)), Some(7 * SECOND));
        assert_eq!(wanted().delay(0, u64::MAX, Some(7 * SECOND)), Some(8 * SECOND));
        assert_eq!(wanted().delay(0, 0, Some(7_000_000 * SECOND)), Some(30 * SECOND));
        let said = |value: &str| {
            let head = format!("HTTP/1.1 503 Later\r\nRetry-After: {value}\r\n\r\n");
            retry_after(&Response::parse(head.as_bytes(), 100).unwrap())
        };
        assert_eq!(said("120"), Some(120 * SECOND));
        // Long ago.
        assert_eq!(said("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for none in ["", "-1", "1.5", "99999999999999999999999", "soon"] {
            assert_eq!(said(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_date_is_so_many_seconds_from_now() {
        let at = |value: &str| read_date(value).map(|since| since.as_secs());
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(at("Tue, 29 Feb 2000 23:59:59 GMT"), Some(951_868_799));
        assert_eq!(at("Wed, 01 Mar 2000 00:00:00 GMT"), Some(951_868_800));
        assert_eq!(at("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
        for bad in [
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nom 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        let now = Duration::from_secs(784_111_770);
        assert_eq!(read_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(7 * SECOND));
        assert_eq!(read_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 8 * SECOND), Some(Duration::ZERO));
    }

    #[test]
    fn attempts_are_used_up() {
        let three = Reconnect { max_attempts: 3, ..wanted() };
        assert!([0, 1, 2].iter().all(|earlier| three.delay(*earlier, 5, None).is_some()));
        assert_eq!(three.delay(3, 5, None), None);
        assert!(wanted().delay(1_000_000, 5, None).is_some());
    }

    fn ended(code: u16) -> CloseInfo {
        let (code, begun_by) = (CloseCode::new(code), Side::Remote);
        CloseInfo { code, reason: String::new(), clean: false, begun_by, fault: None, unsent_bytes: 0 }
    }

    #[test]
    fn a_server_that_meant_it_is_left_alone() {
        for code in [1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 3000, 4999] {
            assert!(is_final(&ended(code)), "{code}");
        }
        for code in [1001, 1006, 1011, 1012, 1013, 1014] {
            assert!(!is_final(&ended(code)), "{code}");
        }
        for status in [200, 302, 400, 401, 403, 404, 426, 451] {
            assert!(is_fault_final(&Fault::Refused(status)), "{status}");
            assert!(is_fault_final(&Fault::ProxyRefused { status, why: String::new() }), "proxy {status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(!is_fault_final(&Fault::Refused(status)), "{status}");
            assert!(!is_fault_final(&Fault::ProxyRefused { status, why: String::new() }), "proxy {status}");
        }
        for fault in [Fault::RedirectRefused(String::new()), Fault::Masked, Fault::MessageTooBig { limit: 1 }] {
            let info = CloseInfo { fault: Some(fault.clone()), ..ended(fault.close_code().as_u16()) };
            assert!(is_final(&info), "{fault}");
        }
        for fault in [Fault::PongTimeout, Fault::MessageTimeout, Fault::HandshakeTimeout, Fault::AnswerInvalid("x")] {
            let info = CloseInfo { fault: Some(fault.clone()), ..ended(fault.close_code().as_u16()) };
            assert!(!is_final(&info), "{fault}");
        }
    }

    #[test]
    fn trust_does_not_come_back_but_networks_do() {
        assert!(is_error_final(&Error::Tls("it has expired".into())));
        assert!(is_error_final(&Error::Misuse(crate::protocol::Misuse::UrlInvalid("http_proxy".into()))));
        assert!(!is_error_final(&Error::Resolve { host: "a".into(), why: "try again".into() }));
        assert!(!is_error_final(&Error::io("connect", std::io::ErrorKind::ConnectionRefused.into())));
        assert!(!is_error_final(&Error::Fault(Fault::ProxyRefused { status: 0, why: "host unreachable".into() })));
    }
}
