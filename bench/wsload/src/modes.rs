//! The four things that can be measured.

use std::io;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::bench::Bench;
use crate::conn::{Conn, State, err};
use crate::sysstat;

/// From a nanosecond to a minute, to three digits.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}

impl Bench {
    pub(crate) fn echo(&mut self) -> io::Result<()> {
        let n: usize = self.a.num("c", 1);
        let depth: usize = self.a.num("d", 1);
        let size: usize = self.a.num("s", 125);
        let warm = (self.a.num("warmup", 0.5f64) * 1e9) as u64;
        let span = (self.a.num("duration", 2.0f64) * 1e9) as u64;
        let max: u64 = self.a.num("count", u64::MAX);
        let path = self.a.text("path", "/");
        let mut v = self.open_all(n, 64, |_| path.clone())?;
        self.now();
        for (i, c) in v.iter_mut().enumerate() {
            let had = c.want_out;
            c.queue(&self.sh, depth);
            c.flush(&self.sh)?;
            self.rearm(c, i, had);
        }
        let mut hist = latencies();
        let begin = self.now();
        let mut meter = None;
        let mut count = 0u64;
        let mut stopping = false;
        let mut last = begin;
        let mut outstanding = n * depth;
        let t0 = self.t0;
        while outstanding > 0 {
            let k = self.poll.wait(500);
            let now = self.now();
            if meter.is_none() && !stopping && now - begin >= warm {
                meter = Some(self.start_meter());
                count = 0;
                hist.reset();
            }
            if let Some(m) = meter.take() {
                if now - begin >= warm + span || count >= max {
                    let secs = self.stop_meter(m, count);
                    self.num("rate", count as f64 / secs);
                    self.num("mb_per_s", count as f64 * size as f64 / secs / 1e6);
                    self.put("messages", count);
                    stopping = true;
                } else {
                    meter = Some(m);
                }
            }
            if now > self.deadline || (stopping && now > begin + warm + span + 3_000_000_000) {
                break;
            }
            if k > 0 {
                last = now;
            } else if now - last > 5_000_000_000 {
                return err(format!("stalled: {outstanding} messages unanswered for 5 s"));
            }
            let measuring = meter.is_some();
            for j in 0..k {
                let (i, flags) = self.poll.event(j);
                let c = &mut v[i];
                if c.state == State::Done {
                    continue;
                }
                let mut stamp = 0u64;
                let r = self.step(c, i, flags, &mut |t| {
                    if stamp == 0 {
                        stamp = t0.elapsed().as_nanos() as u64;
                    }
                    if measuring {
                        hist.saturating_record(stamp.saturating_sub(t).max(1));
                    }
                });
                let got = match r {
                    Ok(g) => g,
                    Err(e) => {
                        self.fail(&e);
                        outstanding -= v[i].outstanding();
                        v[i].abort();
                        continue;
                    }
                };
                if got > 0 {
                    outstanding -= got;
                    if measuring {
                        count += got as u64;
                    }
                    if !stopping {
                        let c = &mut v[i];
                        self.sh.now = stamp;
                        let had = c.want_out;
                        c.queue(&self.sh, got);
                        outstanding += got;
                        if let Err(e) = c.flush(&self.sh) {
                            self.fail(&e);
                            outstanding -= v[i].outstanding();
                            v[i].abort();
                            continue;
                        }
                        self.rearm(&v[i], i, had);
                    }
                }
            }
        }
        if !stopping {
            return err("ended before the measurement did");
        }
        self.latency(&hist);
        self.finish(&mut v);
        Ok(())
    }

    pub(crate) fn connect_rate(&mut self) -> io::Result<()> {
        let wide: usize = self.a.num("c", 16);
        let warm = (self.a.num("warmup", 0.3f64) * 1e9) as u64;
        let span = (self.a.num("duration", 2.0f64) * 1e9) as u64;
        let max: u64 = self.a.num("count", 100_000);
        self.sh.request = self.sh.request.replace("@PATH@", &self.a.text("path", "/"));
        let mut v: Vec<Conn> = Vec::new();
        let mut since = vec![0u64; wide];
        let mut serial = 0usize;
        let begin = self.now();
        for (i, s) in since.iter_mut().enumerate() {
            v.push(self.connect(serial % 400_000, i)?);
            *s = begin;
            serial += 1;
        }
        let mut hist = latencies();
        let mut meter = None;
        let mut count = 0u64;
        let mut all = 0u64;
        loop {
            let k = self.poll.wait(500);
            let now = self.now();
            if meter.is_none() && now - begin >= warm {
                meter = Some(self.start_meter());
                count = 0;
                hist.reset();
            }
            if meter.is_some() && (now - begin >= warm + span || count >= max) || now > self.deadline || all >= 400_000
            {
                let Some(m) = meter.take() else { return err("no measurement") };
                let secs = self.stop_meter(m, count);
                self.num("rate", count as f64 / secs);
                self.put("handshakes", count);
                break;
            }
            for j in 0..k {
                let (i, flags) = self.poll.event(j);
                let mut c = std::mem::replace(&mut v[i], Conn::placeholder());
                let before = c.state;
                let mut r = self.step(&mut c, i, flags, &mut |_| {}).map(|_| ());
                if r.is_ok() && c.state == State::Open && before != State::Open {
                    // the upgrade is verified: close at once
                    let had = c.want_out;
                    c.queue_close(&mut self.sh.rng);
                    r = c.flush(&self.sh);
                    self.rearm(&c, i, had);
                }
                let over = c.got_close;
                match r {
                    Err(e) if !(c.state == State::Open && (over || e.kind() == io::ErrorKind::ConnectionReset)) => {
                        self.fail(&e);
                        if self.errors > 1000 {
                            return Err(e);
                        }
                    }
                    Ok(()) if !over => {
                        v[i] = c;
                        continue;
                    }
                    _ => {
                        count += 1;
                        all += 1;
                        let d = self.t0.elapsed().as_nanos() as u64 - since[i];
                        hist.saturating_record(d.max(1));
                    }
                }
                c.abort();
                v[i] = self.connect(serial % 400_000, i)?;
                serial += 1;
                since[i] = self.t0.elapsed().as_nanos() as u64;
            }
        }
        self.latency(&hist);
        for c in &mut v {
            c.abort();
        }
        Ok(())
    }

    pub(crate) fn idle(&mut self) -> io::Result<()> {
        let n: usize = self.a.num("c", 1000);
        let path = self.a.text("path", "/");
        let before = sysstat::rss_kib(self.pid);
        let t = Instant::now();
        let mut v = self.open_all(n, 64, |_| path.clone())?;
        self.num("open_seconds", t.elapsed().as_secs_f64());
        std::thread::sleep(std::time::Duration::from_millis(700));
        let after = sysstat::rss_kib(self.pid);
        self.put("connections", n);
        self.put("rss_before_kib", before);
        self.put("rss_after_kib", after);
        self.num("bytes_per_connection", (after as f64 - before as f64) * 1024.0 / n as f64);
        // one message on each, so that lazily made buffers are counted too
        self.now();
        let mut left = 0;
        for (i, c) in v.iter_mut().enumerate() {
            let had = c.want_out;
            c.queue(&self.sh, 1);
            c.flush(&self.sh)?;
            self.rearm(c, i, had);
            left += 1;
        }
        while left > 0 {
            let k = self.poll.wait(1000);
            if self.now() > self.deadline {
                return err(format!("{left} echoes missing"));
            }
            for j in 0..k {
                let (i, flags) = self.poll.event(j);
                left -= self.step(&mut v[i], i, flags, &mut |_| {})?;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        let used = sysstat::rss_kib(self.pid);
        self.put("rss_used_kib", used);
        self.num("bytes_per_connection_used", (used as f64 - before as f64) * 1024.0 / n as f64);
        // CPU of the server while nothing happens
        let m = self.start_meter();
        std::thread::sleep(std::time::Duration::from_millis(1000));
        self.stop_meter(m, 1);
        self.finish(&mut v);
        Ok(())
    }

    pub(crate) fn fanout(&mut self) -> io::Result<()> {
        let n: usize = self.a.num("c", 1000);
        let depth: u64 = self.a.num("d", 4);
        let warm = (self.a.num("warmup", 0.5f64) * 1e9) as u64;
        let span = (self.a.num("duration", 2.0f64) * 1e9) as u64;
        let max: u64 = self.a.num("count", u64::MAX);
        let (path, pubp) = (self.a.text("path", "/sub"), self.a.text("pub-path", "/pub"));
        let mut v = self.open_all(n + 1, 64, |i| if i == n { pubp.clone() } else { path.clone() })?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut hist = latencies();
        let mut sent: Vec<u64> = Vec::new();
        let mut seen = vec![0u32; n + 1];
        let mut count = 0u64;
        let mut total = 0u64;
        let mut meter = None;
        let begin = self.now();
        let mut last = begin;
        loop {
            // keep `depth` published messages that not all have received yet
            let now = self.now();
            let mut fresh = 0;
            while (sent.len() as u64) < total / n as u64 + depth {
                sent.push(now);
                fresh += 1;
            }
            if fresh > 0 {
                let c = &mut v[n];
                let had = c.want_out;
                c.queue(&self.sh, fresh);
                c.flush(&self.sh)?;
                self.rearm(&v[n], n, had);
            }
            let k = self.poll.wait(500);
            let now = self.now();
            if meter.is_none() && now - begin >= warm {
                meter = Some(self.start_meter());
                count = 0;
                hist.reset();
            }
            if meter.is_some() && (now - begin >= warm + span || count >= max) || now > self.deadline {
                let Some(m) = meter.take() else { return err("no measurement") };
                let secs = self.stop_meter(m, count);
                self.num("rate", count as f64 / secs);
                self.put("deliveries", count);
                break;
            }
            if k > 0 {
                last = now;
            } else if now - last > 5_000_000_000 {
                return err(format!("stalled after {total} deliveries, {} published", sent.len()));
            }
            for j in 0..k {
                let (i, flags) = self.poll.event(j);
                let got = self.step(&mut v[i], i, flags, &mut |_| {})?;
                if i == n {
                    continue;
                }
                let stamp = self.t0.elapsed().as_nanos() as u64;
                for _ in 0..got {
                    let t = sent[seen[i] as usize];
                    seen[i] += 1;
                    hist.saturating_record(stamp.saturating_sub(t).max(1));
                }
                total += got as u64;
                count += got as u64;
            }
        }
        self.latency(&hist);
        for c in &mut v {
            c.abort();
        }
        Ok(())
    }
}
