//! [`Metrics`]: what a loop has counted, and its text in OpenMetrics 1.0. A loop counts in [`Counters`] as it
//! works: one addition in memory that it alone writes, no lock. Any thread reads.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::protocol::{CloseCode, CloseInfo, Fault};

/// A number that one thread writes, the loop's, and every thread reads.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds; a gauge falls by what [`u64::wrapping_sub`] says.
    #[inline(always)]
    pub(super) fn add(&self, n: u64) {
        // Not a locked instruction: nobody else writes.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that every thread writes: for what is rare.
#[derive(Debug, Default)]
pub(super) struct SharedCounter(AtomicU64);

impl SharedCounter {
    #[cold]
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Names every metric once: its field in [`Counters`], its field in [`Metrics`], its family in the text.
macro_rules! metrics {
    (
        loop { $($field:ident: $kind:ident, $unit:literal, $help:literal;)* }
        any { $($any:ident: $any_kind:ident, $any_unit:literal, $any_help:literal;)* }
        asked { $($asked:ident: $asked_kind:ident, $asked_unit:literal, $asked_help:literal;)* }
    ) => {
        /// What a loop counts.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $field: Counter,)*
            $(pub(super) $any: SharedCounter,)*
            closes: [Counter; CLOSES.len()],
            faults: Numbers<{ Fault::RULES.len() }>,
            round_trip_buckets: [Counter; ROUND_TRIP_BOUNDS.len() + 1],
            round_trip_total: Counter,
            /// 0 before the first; else one more than the milliseconds.
            round_trip_shortest: Counter,
            round_trip_longest: Counter,
        }

        /// What a loop, or all loops of a server, have counted since they began. Numbers that belong together
        /// may have been read a moment apart.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $(#[doc = $help] pub $field: u64,)*
            $(#[doc = $any_help] pub $any: u64,)*
            $(#[doc = $asked_help] pub $asked: u64,)*
            /// WebSockets that had opened and have closed, by the code that `on_close` told; in the order of
            /// [`Metrics::CLOSES`].
            pub closes: [u64; CLOSES.len()],
            /// Connections that ended because the peer broke a rule or a deadline, in the order of
            /// [`Fault::RULES`].
            pub faults: FaultCounts,
            /// How long keepalive pings took to be answered.
            pub round_trips: RoundTrips,
        }

        impl Counters {
            /// Everything but what is asked for elsewhere.
            pub(super) fn read(&self) -> Metrics {
                Metrics {
                    $($field: self.$field.get(),)*
                    $($any: self.$any.get(),)*
                    $($asked: 0,)*
                    closes: std::array::from_fn(|index| self.closes[index].get()),
                    faults: FaultCounts(std::array::from_fn(|index| self.faults.0[index].get())),
                    round_trips: self.round_trips(),
                }
            }
        }

        impl Metrics {
            /// Adds another loop's.
            pub fn add(&mut self, other: &Metrics) {
                $(self.$field += other.$field;)*
                $(self.$any += other.$any;)*
                $(self.$asked += other.$asked;)*
                add_each(&mut self.closes, &other.closes);
                add_each(&mut self.faults.0, &other.faults.0);
                self.round_trips.add(&other.round_trips);
            }

            /// Name, kind, unit, help and value of those that are one number.
            fn singles(&self) -> impl Iterator<Item = (&'static str, Kind, &'static str, &'static str, u64)> {
                [
                    $((stringify!($asked), Kind::$asked_kind, $asked_unit, $asked_help, self.$asked),)*
                    $((stringify!($field), Kind::$kind, $unit, $help, self.$field),)*
                    $((stringify!($any), Kind::$any_kind, $any_unit, $any_help, self.$any),)*
                ].into_iter()
            }
        }
    };
}

metrics! {
    loop {
        accepted: Counter, "", "Connections that listeners have accepted";
        refused_address: Counter, "", "Connections closed at once because too many came from their address already";
        accept_failures: Counter, "", "Times that the system let a listener accept nothing: no descriptors, no memory";
        connected: Counter, "", "Client connections that found a socket";
        connect_failures: Counter, "", "Client connections that found none: no address, no answer, a proxy's refusal";
        tls_failures: Counter, "", "Connections that TLS has ended";
        opened: Counter, "", "WebSockets that have opened, adopted ones among them";
        handshakes_failed: Counter, "", "WebSockets that never opened: not connected, refused by either side, broken off, too slow";
        received_messages: Counter, "", "Messages that were received whole";
        received_bytes: Counter, "bytes", "Payload of messages received, as the application sees it";
        sent_messages: Counter, "", "Messages that were accepted for sending";
        sent_bytes: Counter, "bytes", "Payload of messages accepted for sending, as the application gave it";
        read_bytes: Counter, "bytes", "Bytes read from streams: handshakes, framing and payload, without TLS";
        written_bytes: Counter, "bytes", "Bytes written to streams: handshakes, framing and payload, without TLS";
        waiting_bytes: Gauge, "bytes", "Payload bytes that wait for connections to take them";
        pings: Counter, "", "Keepalive pings sent";
        turns: Counter, "", "Turns of the loop";
        commands: Counter, "", "Commands of other threads that were carried out";
    }
    any {
        wakes: Counter, "", "Times that the loop was woken from outside a turn: once for all that it finds then";
        refused_full: Counter, "", "Sends refused because too much waited already";
        refused_dropped: Counter, "", "Messages dropped because too much waited: by the policy for slow readers, or published";
    }
    asked {
        connections: Gauge, "", "Connections that live, opening and closing ones among them";
        queued_commands: Gauge, "", "Commands of other threads that the loop has not taken yet";
    }
}

/// Single close codes, and ranges of them.
const CLOSES: [&str; 18] = [
    "1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "1014",
    "1015", "3xxx", "4xxx", "other",
];

/// Round trips are counted by the first of these that they do not pass, in milliseconds. The engine's clock
/// ticks in milliseconds: what is shorter is no network, and would cost a look at the clock per pong.
const ROUND_TRIP_BOUNDS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000];

/// How many connections ended for each rule of [`Fault::RULES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::RULES.len()]);

impl Default for FaultCounts {
    fn default() -> FaultCounts {
        FaultCounts([0; Fault::RULES.len()])
    }
}

/// As many counters as that: arrays of more than 32 have no default.
#[derive(Debug)]
struct Numbers<const N: usize>([Counter; N]);

impl<const N: usize> Default for Numbers<N> {
    fn default() -> Self {
        Numbers(std::array::from_fn(|_| Counter::default()))
    }
}

/// How long keepalive pings took to be answered, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// How many were measured.
    pub count: u64,
    /// The sum of all.
    pub total_ms: u64,
    /// The shortest; 0 while there is none.
    pub shortest_ms: u64,
    /// The longest; 0 while there is none.
    pub longest_ms: u64,
    /// How many took at most [`RoundTrips::BOUNDS_MS`] milliseconds and more than the bound before; the last
    /// number is of those that took longer.
    pub buckets: [u64; ROUND_TRIP_BOUNDS.len() + 1],
}

impl RoundTrips {
    /// The upper ends of all buckets but the last.
    pub const BOUNDS_MS: [u64; 11] = ROUND_TRIP_BOUNDS;

    fn add(&mut self, other: &RoundTrips) {
        let shortest = [&*self, other].into_iter().filter(|trips| trips.count > 0).map(|trips| trips.shortest_ms).min();
        self.shortest_ms = shortest.unwrap_or_default();
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.count += other.count;
        self.total_ms += other.total_ms;
        add_each(&mut self.buckets, &other.buckets);
    }
}

fn add_each(numbers: &mut [u64], others: &[u64]) {
    for (number, other) in numbers.iter_mut().zip(others) {
        *number += other;
    }
}

impl Counters {
    /// A whole message has come.
    #[inline(always)]
    pub(super) fn received(&self, bytes: usize) {
        self.received_messages.add(1);
        self.received_bytes.add(bytes as u64);
    }

    /// A whole message was accepted for sending.
    #[inline(always)]
    pub(super) fn sent(&self, bytes: usize) {
        self.sent_messages.add(1);
        self.sent_bytes.add(bytes as u64);
    }

    /// A WebSocket has ended, told or not.
    #[cold]
    pub(super) fn ended(&self, info: &CloseInfo, was_open: bool) {
        if was_open {
            self.closes[place_of(info.code)].add(1);
            self.fault(info.fault.as_ref());
        } else {
            self.handshake_failed(info.fault.as_ref());
        }
    }

    /// No WebSocket comes of a connection.
    #[cold]
    pub(super) fn handshake_failed(&self, fault: Option<&Fault>) {
        self.handshakes_failed.add(1);
        self.fault(fault);
    }

    fn fault(&self, fault: Option<&Fault>) {
        let rule = fault.map(Fault::rule);
        if let Some(place) = rule.and_then(|rule| Fault::RULES.iter().position(|name| *name == rule)) {
            self.faults.0[place].add(1);
        }
    }

    /// A keepalive ping was answered after so long.
    #[cold]
    pub(super) fn answered(&self, after: Duration) {
        let ms = after.as_millis() as u64;
        let place = ROUND_TRIP_BOUNDS.iter().position(|bound| ms <= *bound).unwrap_or(ROUND_TRIP_BOUNDS.len());
        self.round_trip_buckets[place].add(1);
        self.round_trip_total.add(ms);
        let shortest = self.round_trip_shortest.get();
        if shortest == 0 || ms + 1 < shortest {
            self.round_trip_shortest.add((ms + 1).wrapping_sub(shortest));
        }
        let longest = self.round_trip_longest.get();
        self.round_trip_longest.add(ms.saturating_sub(longest));
    }

    fn round_trips(&self) -> RoundTrips {
        let buckets = std::array::from_fn(|index| self.round_trip_buckets[index].get());
        RoundTrips {
            count: buckets.iter().sum(),
            total_ms: self.round_trip_total.get(),
            shortest_ms: self.round_trip_shortest.get().saturating_sub(1),
            longest_ms: self.round_trip_longest.get(),
            buckets,
        }
    }
}

fn place_of(code: CloseCode) -> usize {
    let name = match code.as_u16() {
        3000..=3999 => "3xxx".to_owned(),
        4000..=4999 => "4xxx".to_owned(),
        code => code.to_string(),
    };
    CLOSES.iter().position(|known| *known == name).unwrap_or(CLOSES.len() - 1)
}

impl Metrics {
    /// The names of [`Metrics::closes`]: a code, a range of codes, or "other".
    pub const CLOSES: &'static [&'static str] = &CLOSES;

    /// Closes by code, those that never happened too.
    pub fn closes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLOSES.into_iter().zip(self.closes)
    }

    /// Faults by rule, those that never happened too.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::RULES.iter().copied().zip(self.faults.0)
    }

    /// All of it as text in OpenMetrics 1.0, to be served as
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn openmetrics(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = self.write_openmetrics(&mut text);
        text
    }

    fn write_openmetrics(&self, out: &mut String) -> fmt::Result {
        for (name, kind, unit, help, value) in self.singles() {
            let family = Family { name, unit };
            family.head(out, kind, help)?;
            writeln!(out, "{family}{} {value}", kind.suffix())?;
        }
        let by_code = "WebSockets that had opened and have closed, by close code";
        labelled(out, "closed", by_code, "code", self.closes())?;
        let by_rule = "Connections that ended because the peer broke a rule or a deadline";
        labelled(out, "faults", by_rule, "rule", self.faults())?;
        self.round_trips.write_openmetrics(out)?;
        out.write_str("# EOF\n")
    }
}

impl RoundTrips {
    fn write_openmetrics(&self, out: &mut String) -> fmt::Result {
        // OpenMetrics wants seconds.
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let family = Family { name: "round_trip", unit: "seconds" };
        family.head(out, Kind::Histogram, "How long keepalive pings took to be answered")?;
        let mut so_far = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            so_far += count;
            match ROUND_TRIP_BOUNDS.get(bucket) {
                Some(bound) => writeln!(out, "{family}_bucket{{le=\"{:?}\"}} {so_far}", seconds(*bound))?,
                None => writeln!(out, "{family}_bucket{{le=\"+Inf\"}} {so_far}")?,
            }
        }
        writeln!(out, "{family}_sum {:?}", seconds(self.total_ms))?;
        writeln!(out, "{family}_count {}", self.count)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

/// A metric family's name. It ends with its unit.
struct Family {
    name: &'static str,
    unit: &'static str,
}

impl Family {
    fn head(&self, out: &mut String, kind: Kind, help: &str) -> fmt::Result {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(out, "# TYPE {self} {kind}")?;
        if !self.unit.is_empty() {
            writeln!(out, "# UNIT {self} {}", self.unit)?;
        }
        writeln!(out, "# HELP {self} {}.", escaped(help))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linkspan_{}", self.name)?;
        match self.unit {
            unit if unit.is_empty() || self.name.ends_with(unit) => Ok(()),
            unit => write!(f, "_{unit}"),
        }
    }
}

fn labelled(
    out: &mut String,
    name: &'static str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let family = Family { name, unit: "" };
    family.head(out, Kind::Counter, help)?;
    for (value, count) in values {
        writeln!(out, "{family}_total{{{label}=\"{}\"}} {count}", escaped(value))?;
    }
    Ok(())
}

/// A help or a label's value, as OpenMetrics writes it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Side;

    fn ended(counters: &Counters, code: u16, fault: Option<Fault>) {
        let code = CloseCode::new(code);
        let begun_by = Side::Remote;
        let info = CloseInfo { code, reason: String::new(), clean: true, begun_by, fault, unsent_bytes: 0 };
        counters.ended(&info, true);
    }

    #[test]
    fn closes_are_counted_by_code_and_by_range() {
        let counters = Counters::default();
        for code in [1000, 1000, 1015, 1004, 2999, 3000, 3999, 4000, 4001, 4999] {
            ended(&counters, code, None);
        }
        ended(&counters, 1002, Some(Fault::Unmasked));
        let metrics = counters.read();
        let closes: Vec<_> = metrics.closes().filter(|(_, count)| *count > 0).collect();
        assert_eq!(closes, [("1000", 2), ("1002", 1), ("1015", 1), ("3xxx", 2), ("4xxx", 3), ("other", 2)]);
        assert_eq!(metrics.faults().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("unmasked", 1)]);
    }

    #[test]
    fn names_of_rules_and_codes_are_different() {
        for names in [Fault::RULES, Metrics::CLOSES] {
            let mut sorted = names.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), names.len());
        }
    }

    #[test]
    fn round_trips_are_summed_and_sorted_into_buckets() {
        let counters = Counters::default();
        assert_eq!(counters.read().round_trips, RoundTrips::default());
        for ms in [7, 0, 1, 5000, 5001] {
            counters.answered(Duration::from_millis(ms));
        }
        let mut trips = counters.read().round_trips;
        assert_eq!((trips.count, trips.total_ms, trips.shortest_ms, trips.longest_ms), (5, 10009, 0, 5001));
        assert_eq!(trips.buckets, [2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        trips.add(&RoundTrips::default());
        assert_eq!((trips.count, trips.shortest_ms), (5, 0));
        let other = Counters::default();
        other.answered(Duration::from_millis(3));
        let mut both = other.read();
        assert_eq!(both.round_trips.shortest_ms, 3);
        both.add(&counters.read());
        assert_eq!((both.round_trips.count, both.round_trips.shortest_ms, both.round_trips.longest_ms), (6, 0, 5001));
    }

    #[test]
    fn the_text_is_openmetrics() {
        let counters = Counters::default();
        counters.received(125);
        counters.answered(Duration::from_millis(3));
        ended(&counters, 1000, None);
        let text = counters.read().openmetrics();
        for lines in [
            "# TYPE linkspan_connections gauge\n# HELP linkspan_connections Connections that live, opening and \
             closing ones among them.\nlinkspan_connections 0\n",
            "# TYPE linkspan_received_bytes counter\n# UNIT linkspan_received_bytes bytes\n",
            "\nlinkspan_received_bytes_total 125\n",
            "\nlinkspan_closed_total{code=\"1000\"} 1\n",
            "\nlinkspan_faults_total{rule=\"unmasked\"} 0\n",
            "# TYPE linkspan_round_trip_seconds histogram\n# UNIT linkspan_round_trip_seconds seconds\n",
            "_bucket{le=\"0.002\"} 0\nlinkspan_round_trip_seconds_bucket{le=\"0.005\"} 1\n",
            "_bucket{le=\"+Inf\"} 1\nlinkspan_round_trip_seconds_sum 0.003\nlinkspan_round_trip_seconds_count 1\n",
        ] {
            assert!(text.contains(lines), "{lines}in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
    }
}
