//! `Sec-WebSocket-Extensions` (RFC 6455 9.1).

/// One extension with its parameters, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Parameters; a flag has no value. Quoted values are unquoted, and still tokens.
    pub parameters: Vec<(String, Option<String>)>,
}

/// Reads the header's value; `None` when it breaks the grammar.
pub fn parse_extensions(value: &str) -> Option<Vec<Extension>> {
    let _ = value;
    todo!()
}
