//! What went wrong in TLS, as a sentence that a person can act on.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Which end the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// We are the client.
    Server,
    /// We are the server.
    Client,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Server => "server",
            Who::Client => "client",
        }
    }
}

/// The sentence for `error`, which our peer, a `who`, gave us cause for.
pub(crate) fn explain(error: &Error, who: Who) -> String {
    let peer = who.name();
    match error {
        Error::InvalidCertificate(error) => certificate(error, who),
        Error::NoCertificatesPresented => format!("the {peer} showed no certificate, and one is required"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => format!("the {peer} does not speak TLS"),
        Error::AlertReceived(alert) => alerted(*alert, who),
        Error::NoApplicationProtocol => format!("the {peer} and we share no application protocol (ALPN)"),
        other => format!("the {peer} cannot be understood: {other}"),
    }
}

fn certificate(error: &CertificateError, who: Who) -> String {
    let its = format!("the {}'s certificate", who.name());
    match error {
        CertificateError::UnknownIssuer => {
            format!(
                "{its} is not trusted: its issuer is unknown; trust the issuer's root, or have the chain sent whole"
            )
        }
        CertificateError::Expired => format!("{its} has expired"),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("{its} expired {} ago", span(*not_after, *time))
        }
        CertificateError::NotValidYet => format!("{its} is not valid yet; is the clock right?"),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("{its} is not valid for another {}; is the clock right?", span(*time, *not_before))
        }
        CertificateError::NotValidForName => format!("{its} is for another name"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
            format!("{its} is for {names}, not for {}", expected.to_str())
        }
        CertificateError::Revoked => format!("{its} has been revoked"),
        CertificateError::BadSignature => format!("{its} or its proof bears a wrong signature"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{its} is not meant for a {}", who.name())
        }
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            format!("{its} is an issuer's own (CA:TRUE); a {} needs one with CA:FALSE", who.name())
        }
        CertificateError::Other(error) => format!("{its} cannot be accepted: {error}"),
        other => format!("{its} cannot be accepted: {other}"),
    }
}

/// What the peer says that we did.
fn alerted(alert: AlertDescription, who: Who) -> String {
    let peer = who.name();
    match alert {
        AlertDescription::CertificateRequired => format!("the {peer} requires a certificate of us"),
        AlertDescription::UnknownCA => format!("the {peer} does not trust the issuer of our certificate"),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => format!("the {peer} does not accept our certificate"),
        AlertDescription::CertificateExpired => format!("the {peer} says that our certificate has expired"),
        AlertDescription::CertificateRevoked => format!("the {peer} says that our certificate has been revoked"),
        AlertDescription::ProtocolVersion => format!("the {peer} speaks neither TLS 1.2 nor 1.3"),
        AlertDescription::UnrecognisedName => format!("the {peer} does not serve the name that was asked for"),
        AlertDescription::NoApplicationProtocol => {
            format!("the {peer} and we share no application protocol (ALPN)")
        }
        AlertDescription::HandshakeFailure => format!("the {peer} and we share no way to encrypt, or it needs more"),
        other => format!("the {peer} ended TLS: {other:?}"),
    }
}

/// From one moment to a later one, in the largest unit that fits.
pub(super) fn span(from: UnixTime, to: UnixTime) -> String {
    let span = Duration::from_secs(to.as_secs().saturating_sub(from.as_secs()));
    let (count, unit) = match span.as_secs() {
        seconds @ 0..60 => (seconds, "second"),
        seconds @ 60..3_600 => (seconds / 60, "minute"),
        seconds @ 3_600..86_400 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `DnsName("a.example")` is `a.example`, `IpAddress(127.0.0.1)` is `127.0.0.1`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}
