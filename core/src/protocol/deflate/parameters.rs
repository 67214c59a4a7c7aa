//! What is offered and agreed to, as text (RFC 7692 5 and 7.1).

use std::fmt;

use super::super::config::DeflateConfig;
use super::super::fault::Fault;
use super::super::handshake::Extension;

/// The extension's name (RFC 7692 7).
pub const EXTENSION_NAME: &str = "permessage-deflate";

/// What both ends agreed to (RFC 7692 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The server forgets its context after each message.
    pub server_no_context_takeover: bool,
    /// The client forgets its context after each message.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

impl Parameters {
    /// Client: the value of `Sec-WebSocket-Extensions` that offers what `config` wants (RFC 7692 7.1).
    pub fn offer(config: &DeflateConfig) -> String {
        let mut offer = EXTENSION_NAME.to_owned();
        push_flag(&mut offer, "server_no_context_takeover", config.server_no_context_takeover);
        push_flag(&mut offer, "client_no_context_takeover", config.client_no_context_takeover);
        push_bits(&mut offer, "server_max_window_bits", config.server_max_window_bits);
        // RFC 7692 7.1.2.2: without a value it only allows the server to ask for a smaller window.
        push_flag(&mut offer, "client_max_window_bits", config.client_max_window_bits == MAX_BITS);
        push_bits(&mut offer, "client_max_window_bits", config.client_max_window_bits);
        offer
    }

    /// Server: what this offer and `config` have in common, and the value of `Sec-WebSocket-Extensions`
    /// that says so. `None` declines: the offer breaks a rule, or holds a parameter that is not known.
    ///
    /// A wish for a smaller window of the client's is dropped when the client does not know the parameter.
    pub fn agree(offer: &Extension, config: &DeflateConfig) -> Option<(Parameters, String)> {
        if !cfg!(feature = "deflate") {
            return None;
        }
        let offer = Stated::read(offer, true).ok()?;
        let server_bits = offer.server_max_window_bits.unwrap_or(MAX_BITS);
        let client_bits = match offer.client_max_window_bits {
            None => MAX_BITS,
            Some(hint) => hint.unwrap_or(MAX_BITS).min(config.client_max_window_bits),
        };
        let agreed = Parameters {
            // RFC 7692 7.1.1.1 and 7.1.1.2: either may be answered without having been offered.
            server_no_context_takeover: offer.server_no_context_takeover || config.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || config.client_no_context_takeover,
            server_max_window_bits: server_bits.min(config.server_max_window_bits),
            client_max_window_bits: client_bits,
        };
        let mut answer = EXTENSION_NAME.to_owned();
        push_flag(&mut answer, "server_no_context_takeover", agreed.server_no_context_takeover);
        push_flag(&mut answer, "client_no_context_takeover", agreed.client_no_context_takeover);
        match offer.server_max_window_bits {
            // RFC 7692 7.1.2.1: accepted by naming it, the largest window too.
            Some(MAX_BITS) if agreed.server_max_window_bits == MAX_BITS => {
                answer.push_str("; server_max_window_bits=15");
            }
            _ => push_bits(&mut answer, "server_max_window_bits", agreed.server_max_window_bits),
        }
        push_bits(&mut answer, "client_max_window_bits", agreed.client_max_window_bits);
        Some((agreed, answer))
    }

    /// Client: judges the server's answer to [`Parameters::offer`] with the same `config`.
    pub fn accept_answer(answer: &Extension, config: &DeflateConfig) -> Result<Parameters, Fault> {
        let answer = Stated::read(answer, false).map_err(Fault::AnswerInvalid)?;
        // RFC 7692 7.1.1.1: the server accepts this by naming it.
        if config.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(Fault::AnswerInvalid("the answer leaves out server_no_context_takeover"));
        }
        // RFC 7692 7.1.2.1: the same or a smaller window, and named if it was asked for.
        let server_bits = answer.server_max_window_bits.unwrap_or(MAX_BITS);
        if server_bits > config.server_max_window_bits {
            return Err(Fault::AnswerInvalid("the answer has a larger server_max_window_bits than was offered"));
        }
        // RFC 7692 7.1.2.2: always offered here, so it may be answered, with a value.
        let client_bits = answer.client_max_window_bits.flatten().unwrap_or(config.client_max_window_bits);
        if client_bits > config.client_max_window_bits {
            return Err(Fault::AnswerInvalid("the answer has a larger client_max_window_bits than was offered"));
        }
        Ok(Parameters {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover || config.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        })
    }
}

/// As the value of `Sec-WebSocket-Extensions` would name them.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = EXTENSION_NAME.to_owned();
        push_flag(&mut text, "server_no_context_takeover", self.server_no_context_takeover);
        push_flag(&mut text, "client_no_context_takeover", self.client_no_context_takeover);
        push_bits(&mut text, "server_max_window_bits", self.server_max_window_bits);
        push_bits(&mut text, "client_max_window_bits", self.client_max_window_bits);
        f.write_str(&text)
    }
}

/// The largest window, in bits (RFC 1951 2, RFC 7692 7.1.2).
const MAX_BITS: u8 = 15;

fn push_flag(text: &mut String, name: &str, is_set: bool) {
    if is_set {
        text.push_str("; ");
        text.push_str(name);
    }
}

fn push_bits(text: &mut String, name: &str, bits: u8) {
    if bits < MAX_BITS {
        text.push_str(&format!("; {name}={bits}"));
    }
}

/// The parameters as they stand in one offer or answer.
#[derive(Default)]
struct Stated {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may stand without a value.
    client_max_window_bits: Option<Option<u8>>,
}

impl Stated {
    /// RFC 7692 7.1: an unknown name, an invalid value or a second one with the same name spoils the whole.
    fn read(extension: &Extension, is_offer: bool) -> Result<Stated, &'static str> {
        let mut stated = Stated::default();
        for (name, value) in &extension.parameters {
            let value = value.as_deref();
            let is_first = match name.as_str() {
                "server_no_context_takeover" => set_flag(&mut stated.server_no_context_takeover, value)?,
                "client_no_context_takeover" => set_flag(&mut stated.client_no_context_takeover, value)?,
                "server_max_window_bits" => stated.server_max_window_bits.replace(read_bits(value)?).is_none(),
                "client_max_window_bits" if is_offer && value.is_none() => {
                    stated.client_max_window_bits.replace(None).is_none()
                }
                "client_max_window_bits" => stated.client_max_window_bits.replace(Some(read_bits(value)?)).is_none(),
                _ => return Err("permessage-deflate has a parameter that nobody knows"),
            };
            if !is_first {
                return Err("permessage-deflate has a parameter twice");
            }
        }
        Ok(stated)
    }
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<bool, &'static str> {
    match value {
        None => Ok(!std::mem::replace(flag, true)),
        Some(_) => Err("a no_context_takeover parameter has a value"),
    }
}

/// RFC 7692 7.1.2: decimal, 8 to 15, no leading zeroes.
fn read_bits(value: Option<&str>) -> Result<u8, &'static str> {
    match value {
        Some("8") => Ok(8),
        Some("9") => Ok(9),
        Some("10") => Ok(10),
        Some("11") => Ok(11),
        Some("12") => Ok(12),
        Some("13") => Ok(13),
        Some("14") => Ok(14),
        Some("15") => Ok(15),
        _ => Err("a max_window_bits parameter is not 8 to 15"),
    }
}

#[cfg(test)]
#[cfg(feature = "deflate")]
mod tests {
    use super::super::super::handshake::parse_extensions;
    use super::*;

    fn extension(value: &str) -> Extension {
        parse_extensions(value).unwrap().remove(0)
    }

    fn config(server: u8, client: u8) -> DeflateConfig {
        DeflateConfig { server_max_window_bits: server, client_max_window_bits: client, ..DeflateConfig::default() }
    }

    fn answer_to(offer: &str, config: &DeflateConfig) -> Option<String> {
        Parameters::agree(&extension(offer), config).map(|(_, answer)| answer)
    }

    #[test]
    fn an_offer_is_answered_with_what_both_can_do() {
        for (offer, server, client, expected) in [
            ("permessage-deflate", 15, 15, "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", 15, 15, "permessage-deflate"),
            (
                "permessage-deflate; client_max_window_bits",
                12,
                10,
                "; server_max_window_bits=12; client_max_window_bits=10",
            ),
            ("permessage-deflate; client_max_window_bits=9", 15, 10, "; client_max_window_bits=9"),
            ("permessage-deflate; client_max_window_bits=\"11\"", 15, 10, "; client_max_window_bits=10"),
            ("permessage-deflate", 15, 10, "permessage-deflate"),
            ("permessage-deflate; server_max_window_bits=15", 15, 15, "; server_max_window_bits=15"),
            ("permessage-deflate; server_max_window_bits=15", 14, 15, "; server_max_window_bits=14"),
            ("permessage-deflate; server_max_window_bits=8", 15, 15, "; server_max_window_bits=8"),
            ("permessage-deflate; server_no_context_takeover", 15, 15, "; server_no_context_takeover"),
            ("permessage-deflate; client_no_context_takeover", 15, 15, "; client_no_context_takeover"),
        ] {
            let expected = format!("permessage-deflate{}", expected.trim_start_matches("permessage-deflate"));
            assert_eq!(answer_to(offer, &config(server, client)), Some(expected), "{offer}");
        }
        let wishes = DeflateConfig {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..DeflateConfig::default()
        };
        let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(answer_to("permessage-deflate", &wishes).as_deref(), Some(expected));
    }

    #[test]
    fn a_bad_compression_offer_is_declined() {
        for parameters in BAD.iter().chain(&["server_max_window_bits"]) {
            assert_eq!(answer_to(&format!("permessage-deflate; {parameters}"), &config(15, 15)), None, "{parameters}");
        }
    }

    #[test]
    fn a_bad_compression_answer_fails_the_handshake() {
        for parameters in BAD.iter().chain(&["server_max_window_bits", "client_max_window_bits"]) {
            let answer = extension(&format!("permessage-deflate; {parameters}"));
            let result = Parameters::accept_answer(&answer, &config(15, 15));
            assert!(matches!(result, Err(Fault::AnswerInvalid(_))), "{parameters}: {result:?}");
        }
    }

    const BAD: [&str; 13] = [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits=10; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=11",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "client_max_window_bits=1000000000000000000000",
        "server_max_window_bits=09",
        "client_max_window_bits=+9",
        "client_max_window_bits=x",
    ];

    #[test]
    fn an_answer_is_held_against_the_offer() {
        let judge = |answer: &str, config: &DeflateConfig| Parameters::accept_answer(&extension(answer), config).ok();
        let bits = |answer: &str, config: &DeflateConfig| {
            judge(answer, config).map(|agreed| (agreed.server_max_window_bits, agreed.client_max_window_bits))
        };
        assert_eq!(bits("permessage-deflate", &config(15, 15)), Some((15, 15)));
        assert_eq!(bits("permessage-deflate", &config(15, 10)), Some((15, 10)));
        assert_eq!(bits("permessage-deflate; client_max_window_bits=9", &config(15, 10)), Some((15, 9)));
        assert_eq!(bits("permessage-deflate; client_max_window_bits=11", &config(15, 10)), None);
        assert_eq!(bits("permessage-deflate; server_max_window_bits=9", &config(15, 15)), Some((9, 15)));
        assert_eq!(bits("permessage-deflate; server_max_window_bits=9", &config(9, 15)), Some((9, 15)));
        assert_eq!(bits("permessage-deflate; server_max_window_bits=10", &config(9, 15)), None);
        assert_eq!(bits("permessage-deflate", &config(9, 15)), None);
        let wishes = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
        assert_eq!(judge("permessage-deflate", &wishes), None);
        assert!(judge("permessage-deflate; server_no_context_takeover", &wishes).is_some());
        assert!(judge("permessage-deflate; client_no_context_takeover", &wishes).is_none());
    }

    #[test]
    fn what_a_client_offers_a_server_agrees_to_whatever_both_want() {
        for bits in 0..8 * 8 * 16u32 {
            let (one, other, flags) = (bits as u8 % 8 + 8, (bits / 8) as u8 % 8 + 8, bits / 64);
            let mut client = config(one, other);
            let mut server = config(other, one);
            client.server_no_context_takeover = flags & 1 > 0;
            client.client_no_context_takeover = flags & 2 > 0;
            server.server_no_context_takeover = flags & 4 > 0;
            server.client_no_context_takeover = flags & 8 > 0;
            let (agreed, answer) = Parameters::agree(&extension(&Parameters::offer(&client)), &server).unwrap();
            assert_eq!(Parameters::accept_answer(&extension(&answer), &client), Ok(agreed), "{client:?} {server:?}");
        }
    }
}
