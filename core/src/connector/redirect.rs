//! Redirects: where a refused opening handshake points to, and what of ours may go there.

use std::sync::Arc;

use super::options::ConnectOptions;
use crate::protocol::Fault;
use crate::protocol::handshake::{Response, Uri};

/// Headers of the application's that another origin may see: they say nothing of who asks. All others may be
/// credentials, whatever their names.
const HARMLESS: &[&str] = &["Accept", "Accept-Language", "Origin", "User-Agent"];

/// What to connect to after this answer, `followed` redirects having been followed before; none when it is no
/// redirect, or none are wanted.
pub(crate) fn follow(
    options: &ConnectOptions,
    followed: u32,
    response: &Response,
) -> Option<Result<ConnectOptions, Fault>> {
    // RFC 9110 15.4: the redirections that name another place; the method stays GET in all of them.
    if options.max_redirects == 0 || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.get("Location")?;
    if followed >= options.max_redirects {
        let why = format!("there were {followed} before it, and that is the limit");
        return Some(Err(Fault::RedirectRefused(why)));
    }
    Some(next(options, location))
}

fn next(options: &ConnectOptions, location: &str) -> Result<ConnectOptions, Fault> {
    let refused = |why: &str| Err(Fault::RedirectRefused(why.to_owned()));
    let from = &options.uri;
    let uri = match from.join(location) {
        Ok(uri) => uri,
        Err(misuse) => return refused(&misuse.to_string()),
    };
    if from.is_secure && !uri.is_secure {
        return refused("it leads from wss to ws, where everybody could read along");
    }
    if uri.is_same_origin(from) {
        // Who asks stays who asks; what the place says of that is not ours.
        let uri = Uri { userinfo: from.userinfo.clone(), unix_path: from.unix_path.clone(), ..uri };
        return Ok(ConnectOptions { uri, ..options.clone() });
    }
    let mut headers = options.headers.clone();
    headers.retain(|(name, _)| HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless)));
    Ok(ConnectOptions {
        uri: Uri { userinfo: None, ..uri },
        headers,
        tls: options.tls.as_ref().map(|tls| Arc::new(tls.for_another_origin())),
        ..options.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> ConnectOptions {
        let header = |name: &str| (name.to_owned(), "x".to_owned());
        ConnectOptions {
            max_redirects: 3,
            headers: ["Authorization", "Cookie", "X-Api-Key", "Host", "user-agent", "Origin"].map(header).to_vec(),
            ..ConnectOptions::new(Uri::parse(url).unwrap())
        }
    }

    fn answer(status: u16, location: &str) -> Response {
        let head = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\n\r\n");
        Response::parse(head.as_bytes(), 100).unwrap()
    }

    /// Where it leads, and which headers go there.
    fn led(url: &str, location: &str) -> Result<(String, Option<String>, Vec<String>), String> {
        match follow(&options(url), 0, &answer(302, location)).unwrap() {
            Ok(next) => {
                let names = next.headers.into_iter().map(|(name, _)| name).collect();
                Ok((next.uri.to_string(), next.uri.userinfo, names))
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn only_redirections_with_a_place_are_followed_and_only_when_wanted() {
        let wants = options("ws://a/");
        for status in [301, 302, 303, 307, 308] {
            assert!(follow(&wants, 0, &answer(status, "/b")).is_some(), "{status}");
        }
        for status in [200, 300, 304, 305, 306, 401, 503] {
            assert!(follow(&wants, 0, &answer(status, "/b")).is_none(), "{status}");
        }
        let nowhere = Response::parse(b"HTTP/1.1 302 Elsewhere\r\n\r\n", 100).unwrap();
        assert!(follow(&wants, 0, &nowhere).is_none());
        let unwilling = ConnectOptions { max_redirects: 0, ..wants.clone() };
        assert!(follow(&unwilling, 0, &answer(302, "/b")).is_none());
        let fault = follow(&wants, 3, &answer(302, "/b")).unwrap().unwrap_err();
        assert_eq!(fault.to_string(), "the redirect is not followed: there were 3 before it, and that is the limit");
        assert!(follow(&wants, 2, &answer(302, "/b")).unwrap().is_ok());
    }

    #[test]
    fn a_place_may_be_written_in_part() {
        for (url, location, expected) in [
            ("ws://a.example/b/c?d", "e", "ws://a.example/b/e"),
            ("ws://a.example/b/c?d", "/e?f", "ws://a.example/e?f"),
            ("ws://a.example:81/b", "?g", "ws://a.example:81/b?g"),
            ("wss://a.example/b", "//b.example/c", "wss://b.example/c"),
            ("ws://a.example/b", "http://b.example:8080/c#part", "ws://b.example:8080/c"),
            ("ws://a.example/b", "https://a.example/c", "wss://a.example/c"),
            ("wss://a.example/b", "wss://a.example:443/../c", "wss://a.example/c"),
        ] {
            assert_eq!(led(url, location).unwrap().0, expected, "{url} -> {location}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let all = 6;
        for (url, location, kept) in [
            ("wss://u:p@a.example/", "/b", all),
            ("wss://u:p@a.example/", "https://a.example:443/b", all),
            ("wss://u:p@a.example/", "wss://evil:evil@a.example/b", all),
            ("wss://u:p@a.example/", "wss://b.example/", 2),
            ("wss://u:p@a.example/", "wss://a.example:444/", 2),
            ("ws://u:p@a.example/", "wss://a.example/", 2),
            ("ws://u:p@a.example/", "ws://x.a.example/", 2),
            ("ws://u:p@a.example/", "ws://evil:evil@b.example/", 2),
        ] {
            let (_, userinfo, names) = led(url, location).unwrap();
            assert_eq!(names.len(), kept, "{url} -> {location}: {names:?}");
            assert_eq!(userinfo.as_deref(), (kept == all).then_some("u:p"), "{url} -> {location}");
            if kept != all {
                assert_eq!(names, ["user-agent", "Origin"]);
            }
        }
    }

    #[test]
    fn a_redirect_that_leads_astray_is_refused() {
        for (url, location, why) in [
            ("wss://a.example/", "ws://a.example/", "from wss to ws"),
            ("wss://a.example/", "http://a.example/", "from wss to ws"),
            ("ws://a.example/", "ftp://a.example/", "scheme is ftp"),
            ("ws://a.example/", "ws+unix:/run/a.sock:/", "not ws or wss"),
            ("ws://a.example/", "ws://a b/", "this is not a URL"),
            ("ws://a.example/", "ws://a.example:99999/", "this is not a URL"),
        ] {
            let error = led(url, location).unwrap_err();
            assert!(error.starts_with("the redirect is not followed: ") && error.contains(why), "{location}: {error}");
        }
    }

    #[test]
    fn a_unix_socket_is_left_for_another_origin_only() {
        let options = options("ws+unix:///run/a.sock:/b");
        let next = |location: &str| follow(&options, 0, &answer(302, location)).unwrap().unwrap().uri.unix_path;
        assert_eq!(next("/c").as_deref(), Some("/run/a.sock"));
        assert_eq!(next("ws://a.example/c"), None);
    }
}
