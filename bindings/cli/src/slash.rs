//! With `--slash`: lines that are commands.

use crate::args::{self, Close};

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slash<'a> {
    /// No command: this text.
    Text(&'a str),
    Ping(&'a str),
    Pong(&'a str),
    /// Without a code: as `--close` says.
    Close(Option<Close>),
}

/// Reads a line. Fails with a sentence for a command that is not known.
pub(crate) fn parse(line: &str) -> Result<Slash<'_>, String> {
    let Some(command) = line.strip_prefix('/') else { return Ok(Slash::Text(line)) };
    if command.starts_with('/') {
        return Ok(Slash::Text(command));
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    match name {
        "ping" => Ok(Slash::Ping(rest)),
        "pong" => Ok(Slash::Pong(rest)),
        "close" if rest.is_empty() => Ok(Slash::Close(None)),
        "close" => Ok(Slash::Close(Some(args::close(&rest.replacen(' ', ":", 1))?))),
        _ => Err("the commands are /ping, /pong and /close; two slashes send one".into()),
    }
}

#[cfg(test)]
mod tests {
    use linkspan::protocol::CloseCode;

    use super::*;

    #[test]
    fn a_line_with_a_slash_is_a_command() {
        assert_eq!(parse("a /ping"), Ok(Slash::Text("a /ping")));
        assert_eq!(parse("//ping"), Ok(Slash::Text("/ping")));
        assert_eq!(parse("/ping"), Ok(Slash::Ping("")));
        assert_eq!(parse("/pong a b"), Ok(Slash::Pong("a b")));
        assert_eq!(parse("/close"), Ok(Slash::Close(None)));
        let close = Close { code: CloseCode::new(4000), reason: "so long".into() };
        assert_eq!(parse("/close 4000 so long"), Ok(Slash::Close(Some(close))));
        assert!(parse("/close 1").is_err());
        assert!(parse("/quit").is_err());
    }
}
