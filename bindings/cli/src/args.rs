//! What may be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use linkspan::net::ProxyChoice;
use linkspan::protocol::handshake::Uri;
use linkspan::protocol::{CloseCode, check_close};

/// Talk to WebSocket servers, and be one.
#[derive(Debug, Parser)]
#[command(name = "linkspan", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Connect(Box<Connect>),
    Echo(Echo),
    ServeTopics(ServeTopics),
    /// Print completions for a shell.
    ///
    /// For bash: linkspan completions bash > ~/.local/share/bash-completion/completions/linkspan
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page (of a command, when one is named).
    Man {
        /// connect, echo, serve-topics.
        command: Option<String>,
    },
}

/// Connect to a server: a prompt in a terminal, lines through pipes.
///
/// In a terminal: type a line and press Enter to send it; what comes is shown above. Ctrl-D closes, Ctrl-C
/// closes and leaves with status 130.
///
/// Otherwise every line of the standard input is sent as one text message, and every message that comes is
/// written as one line. At the end of the input the connection is closed, once everything has been sent;
/// --wait and --count keep it open for answers.
///
/// The status is 0 after a clean close, 1 after anything else (one sentence on the standard error says why),
/// and 2 when the command line is wrong.
#[derive(Args, Debug)]
#[command(after_help = CONNECT_EXAMPLES)]
pub(crate) struct Connect {
    /// ws://, wss:// or ws+unix:///path/of.sock:/target; without a scheme, ws:// is meant.
    #[arg(value_parser = url)]
    pub(crate) url: Uri,

    /// A header to add to the request, as 'Name: value'. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header, help_heading = HANDSHAKE)]
    pub(crate) headers: Vec<(String, String)>,
    /// A subprotocol to offer, best first. May be repeated.
    #[arg(
        short = 's',
        long = "protocol",
        visible_alias = "subprotocol",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = HANDSHAKE
    )]
    pub(crate) protocols: Vec<String>,
    /// The Origin to send, as a browser does.
    #[arg(short = 'o', long, value_name = "ORIGIN", help_heading = HANDSHAKE)]
    pub(crate) origin: Option<String>,
    /// User and password for Basic authentication.
    #[arg(long, visible_alias = "basic-auth", value_name = "USER:PASSWORD", value_parser = auth, help_heading = HANDSHAKE)]
    pub(crate) auth: Option<String>,
    /// Offer compression (permessage-deflate).
    #[arg(long, overrides_with = "no_compress", help_heading = HANDSHAKE)]
    pub(crate) compress: bool,
    /// Offer no compression, as is the default.
    #[arg(long, overrides_with = "compress", help_heading = HANDSHAKE)]
    pub(crate) no_compress: bool,
    /// Follow redirects, ten in a row at the most.
    #[arg(short = 'L', long, conflicts_with = "max_redirects", help_heading = HANDSHAKE)]
    pub(crate) location: bool,
    /// Follow so many redirects in a row at the most.
    #[arg(long, value_name = "COUNT", default_value = "0", help_heading = HANDSHAKE)]
    pub(crate) max_redirects: u32,
    /// Connect again after a loss: at first after SECONDS at the most (1 where none are given), then after twice
    /// as many, and so on up to 30. -x is sent each time.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = seconds,
        help_heading = HANDSHAKE
    )]
    pub(crate) retry: Option<Duration>,
    /// Longest wait for the connection and the opening handshake, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30", help_heading = HANDSHAKE)]
    pub(crate) timeout: Duration,

    /// Go through this proxy: http://, https://, socks5:// or socks5h://, with user:password@ where it asks for
    /// them. Without the option, https_proxy, http_proxy, all_proxy and no_proxy say; '' is no proxy at all.
    #[arg(long, value_name = "URL", value_parser = proxy, help_heading = HANDSHAKE)]
    pub(crate) proxy: Option<ProxyChoice>,

    /// Trust the certificates in this PEM file instead of the system's.
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate and its issuers, for servers that ask: a PEM file.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = TLS)]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TLS)]
    pub(crate) key: Option<PathBuf>,
    /// The name to ask for and to check, instead of the host in the URL.
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub(crate) server_name: Option<String>,
    /// Known from other tools; refused, and the refusal says what to use.
    #[arg(short = 'k', long, visible_alias = "no-check", hide = true)]
    pub(crate) insecure: bool,

    /// Send this text message once connected, then go on. May be repeated.
    #[arg(short = 'x', long = "execute", value_name = "MESSAGE", help_heading = MESSAGES)]
    pub(crate) execute: Vec<String>,
    /// Bytes instead of lines: what is read is sent as binary messages, what comes is written as it is.
    #[arg(short = 'b', long, help_heading = MESSAGES)]
    pub(crate) binary: bool,
    /// Write one JSON object a line for everything that happens: open, text, binary, ping, pong, close, error.
    #[arg(long, help_heading = MESSAGES)]
    pub(crate) json: bool,
    /// Lines that begin with a slash are commands: /ping, /pong, /close [CODE [REASON]]. Two slashes send one.
    #[arg(long, conflicts_with = "binary", help_heading = MESSAGES)]
    pub(crate) slash: bool,
    /// Longest message, in bytes; a longer one ends the connection.
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = clap::value_parser!(u64).range(1..=1 << 32), help_heading = MESSAGES)]
    pub(crate) max_message: u64,
    /// Send a ping after so many seconds of silence; 0 for never.
    #[arg(long, visible_alias = "ping-interval", value_name = "SECONDS", value_parser = seconds, default_value = "30", help_heading = MESSAGES)]
    pub(crate) ping: Duration,

    /// Stay so many seconds after the end of the input, for answers; -1 until the server closes.
    #[arg(short = 'w', long, value_name = "SECONDS", value_parser = wait, allow_negative_numbers = true, help_heading = END)]
    pub(crate) wait: Option<Wait>,
    /// Close once so many messages have come; until then the end of the input does not close.
    #[arg(short = 'n', long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..), help_heading = END)]
    pub(crate) count: Option<u64>,
    /// The same as --count 1.
    #[arg(short = '1', long, conflicts_with = "count", help_heading = END)]
    pub(crate) one_message: bool,
    /// What to close with.
    #[arg(long, value_name = "CODE[:REASON]", value_parser = close, default_value = "1000", help_heading = END)]
    pub(crate) close: Close,

    /// Show the handshake, pings, pongs and the close, too.
    #[arg(short = 'v', long, conflicts_with = "quiet", help_heading = SHOWN)]
    pub(crate) verbose: bool,
    /// Show messages only, and errors.
    #[arg(short = 'q', long, help_heading = SHOWN)]
    pub(crate) quiet: bool,
}

const HANDSHAKE: &str = "Handshake";
const TLS: &str = "TLS";
const MESSAGES: &str = "Messages";
const END: &str = "The end";
const SHOWN: &str = "What is shown";

const CONNECT_EXAMPLES: &str = "Examples:
  linkspan connect ws://localhost:9998/chat
  echo hello | linkspan connect -1 wss://example.com/echo
  linkspan connect --json wss://example.com/feed </dev/null --wait -1 | jq .data
  linkspan connect -x '{\"subscribe\":\"news\"}' -H 'Authorization: Bearer TOKEN' wss://example.com/";

/// Serve a WebSocket that sends every message back.
#[derive(Args, Debug)]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// Serve topics: what a client sends goes to all others at the same path.
///
/// A client connects to /TOPIC, and gets what any other client there sends, text or binary, from then on. Nothing
/// is kept for those who come later.
#[derive(Args, Debug)]
pub(crate) struct ServeTopics {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// What becomes of a client that reads too slowly: it goes without messages, or it is closed.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Slow::Drop)]
    pub(crate) slow_reader: Slow,
    /// Send a message back to its sender, too.
    #[arg(long)]
    pub(crate) echo_own: bool,
    /// Answer GET /metrics with what the server has counted, in OpenMetrics.
    #[arg(long)]
    pub(crate) metrics: bool,
}

/// What becomes of a client that reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Slow {
    Drop,
    Close,
}

/// Where and how to serve.
#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// Address and port to listen on; port 0 picks a free one. Only this machine can connect, unless the
    /// address is another than 127.0.0.1: 0.0.0.0 is every IPv4 address that this machine has.
    #[arg(short = 'l', long, value_name = "ADDRESS:PORT", value_parser = address, default_value = "127.0.0.1:9998", conflicts_with = "unix")]
    pub(crate) listen: SocketAddr,
    /// Listen on a Unix socket instead.
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,
    /// Certificate and its issuers, for wss: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = TLS)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Agree to compression (permessage-deflate) with clients that offer it.
    #[arg(long)]
    pub(crate) compress: bool,
    /// Pages of this origin may connect, and of no other. May be repeated. What is no browser is let in.
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// Most connections at once; above it, new ones wait.
    #[arg(long, value_name = "COUNT", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// Longest message, in bytes; a longer one ends its connection.
    #[arg(long, value_name = "BYTES", default_value = "16777216", value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    pub(crate) max_message: u64,
    /// Show who comes and goes.
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
}

/// How long to stay after the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// So long.
    For(Duration),
    /// Until the server closes.
    ForEver,
}

/// What to close with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

fn url(text: &str) -> Result<Uri, String> {
    let has_scheme = text.contains("://") || text.starts_with("ws+unix:") || text.starts_with("wss+unix:");
    let text = if has_scheme { text.to_owned() } else { format!("ws://{text}") };
    Uri::parse(&text).map_err(|misuse| misuse.to_string())
}

fn proxy(text: &str) -> Result<ProxyChoice, String> {
    ProxyChoice::parse(text).map_err(|misuse| misuse.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("a header is written 'Name: value'".into()),
    }
}

fn auth(text: &str) -> Result<String, String> {
    if text.contains(':') { Ok(text.to_owned()) } else { Err("user and password are written USER:PASSWORD".into()) }
}

/// A number of seconds that the library can count in milliseconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "this is not a number of seconds".to_owned())?;
    // A year: no wait is longer.
    match (0.0..=31_536_000.0).contains(&number) {
        true => Ok(Duration::from_secs_f64(number)),
        false => Err("a number of seconds is 0 to 31536000".into()),
    }
}

fn wait(text: &str) -> Result<Wait, String> {
    if text == "-1" { Ok(Wait::ForEver) } else { seconds(text).map(Wait::For) }
}

pub(crate) fn close(text: &str) -> Result<Close, String> {
    let (code, reason) = text.split_once(':').unwrap_or((text, ""));
    let code = CloseCode::new(code.parse().map_err(|_| "this is not a close code".to_owned())?);
    check_close(Some(code), reason).map_err(|misuse| misuse.to_string())?;
    Ok(Close { code, reason: reason.to_owned() })
}

/// An address of this machine; a port alone is one of 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "an address is written 127.0.0.1:9998 or [::1]:9998".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_url_without_a_scheme_is_ws() {
        assert_eq!(url("localhost:9998/a").unwrap().to_string(), "ws://localhost:9998/a");
        assert_eq!(url("wss://a/").unwrap().to_string(), "wss://a/");
        assert_eq!(url("ws+unix:/run/a.sock").unwrap().unix_path.as_deref(), Some("/run/a.sock"));
        assert!(url("ftp://a/").is_err());
    }

    #[test]
    fn a_port_alone_is_of_this_machine() {
        assert_eq!(address("0"), Ok(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(address("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert_eq!(address("0.0.0.0:80"), Ok(SocketAddr::from(([0, 0, 0, 0], 80))));
        assert!(address(":80").is_err());
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "nan", "inf", "1e300", "", "1s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(wait("-1"), Ok(Wait::ForEver));
    }

    #[test]
    fn a_close_says_what_may_be_said() {
        assert_eq!(close("4000:a:b"), Ok(Close { code: CloseCode::new(4000), reason: "a:b".into() }));
        assert_eq!(close("1006"), Err("close code 1006 may not be sent".into()));
        assert!(close(&format!("1000:{}", "r".repeat(124))).is_err());
    }
}
