//! `Sec-WebSocket-Extensions` (RFC 6455 9.1).

use super::http::is_token_byte;

/// One extension with its parameters, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Parameters; a flag has no value. Quoted values are unquoted, and still tokens.
    pub parameters: Vec<(String, Option<String>)>,
}

/// Reads the header's value; `None` when it breaks the grammar. Takes time linear in its length.
pub fn parse_extensions(value: &str) -> Option<Vec<Extension>> {
    let mut cursor = Cursor { bytes: value.as_bytes(), text: value, at: 0 };
    let mut extensions = Vec::new();
    loop {
        // RFC 9110 5.6.1.2: empty list items count for nothing.
        while cursor.eat(b',') {}
        if cursor.is_at_end() {
            break;
        }
        extensions.push(cursor.extension()?);
        if !cursor.is_at_end() && !cursor.peek(b',') {
            return None;
        }
    }
    // RFC 6455 9.1: extension-list = 1#extension.
    (!extensions.is_empty()).then_some(extensions)
}

/// A place in the text. Every method skips white space first.
struct Cursor<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.bytes.len()
    }

    fn peek(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.bytes.get(self.at) == Some(&byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek(byte);
        self.at += usize::from(found);
        found
    }

    /// extension = extension-token *( ";" extension-param )
    fn extension(&mut self) -> Option<Extension> {
        let name = self.token()?.to_owned();
        let mut parameters = Vec::new();
        while self.eat(b';') {
            // extension-param = token [ "=" (token | quoted-string) ]
            let name = self.token()?.to_owned();
            let value = match self.eat(b'=') {
                false => None,
                true if self.eat(b'"') => Some(self.quoted()?),
                true => Some(self.token()?.to_owned()),
            };
            parameters.push((name, value));
        }
        Some(Extension { name, parameters })
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|&byte| is_token_byte(byte)).count();
        self.at += length;
        (length > 0).then_some(&rest[..length])
    }

    /// What stands behind an opening quote, up to the closing one. RFC 6455 9.1: unescaped, it is a token.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        loop {
            let mut byte = self.next()?;
            if byte == b'"' {
                return (!value.is_empty()).then_some(value);
            }
            if byte == b'\\' {
                byte = self.next()?;
            }
            value.push(is_token_byte(byte).then_some(char::from(byte))?);
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Option<String> {
        let extensions = parse_extensions(value)?;
        let texts = extensions.iter().map(|extension| {
            let parameters = extension.parameters.iter().map(|(name, value)| match value {
                Some(value) => format!(";{name}={value}"),
                None => format!(";{name}"),
            });
            extension.name.clone() + &parameters.collect::<String>()
        });
        Some(texts.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn extensions_and_their_parameters_are_read() {
        for (value, expected) in [
            ("foo", "foo"),
            ("foo, bar; baz=2", "foo,bar;baz=2"),
            ("deflate-stream", "deflate-stream"),
            ("mux; max-channels=4; flow-control, deflate-stream", "mux;max-channels=4;flow-control,deflate-stream"),
            ("private-extension", "private-extension"),
            (" a ;\tb = \"c\" ; d = e , f ", "a;b=c;d=e,f"),
            (",a,,b,", "a,b"),
            (r#"a; b="\c\d""#, "a;b=cd"),
            ("a; b; b=1; b=2", "a;b;b=1;b=2"),
        ] {
            assert_eq!(shown(value).as_deref(), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn a_breach_of_the_grammar_is_refused() {
        for value in [
            "",
            " ",
            ",",
            "a b",
            "a;",
            "a;;b",
            "a; b=",
            "a; =b",
            "a; b=\"",
            "a; b=\"\"",
            "a; b=\"c",
            "a; b=\"c d\"",
            "a; b=\"c\\",
            "a; b=\"c\"d",
            "a=b",
            "\"a\"",
            "a; b=c=d",
            "a; \"b\"",
            "a/b",
            "\u{e9}",
            "a; b=\u{e9}",
            "a\0",
        ] {
            assert_eq!(parse_extensions(value), None, "{value:?}");
        }
    }

    #[test]
    fn a_hostile_value_takes_linear_time() {
        for piece in ["a", "a;b=\"", "a; ", "\"\\", ",", " ", "a;b=\"\\\\"] {
            let _ = parse_extensions(&piece.repeat(200_000));
            let _ = parse_extensions(&format!("a; b=\"{}", piece.repeat(200_000)));
        }
        assert_eq!(parse_extensions(&"a;b=c,".repeat(100_000)).map(|list| list.len()), Some(100_000));
    }
}
