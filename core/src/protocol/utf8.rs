//! UTF-8, checked as it flows: fails at the first byte that no later byte can mend (RFC 6455 8.1).

/// The check of one text: holds at most the three bytes of a character that is not complete yet.
#[derive(Clone, Debug, Default)]
pub struct Utf8 {
    partial: [u8; 4],
    held: u8,
    checked: u64,
}

impl Utf8 {
    /// The start of a text.
    pub fn new() -> Utf8 {
        Utf8::default()
    }

    /// Checks what comes next; the error is the offset of the first bad byte in the whole text.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), u64> {
        while self.held > 0 {
            let Some((&byte, rest)) = data.split_first() else { return Ok(()) };
            let held = usize::from(self.held);
            self.partial[held] = byte;
            match std::str::from_utf8(&self.partial[..=held]) {
                Ok(_) => {
                    self.checked += held as u64 + 1;
                    self.held = 0;
                }
                Err(error) if error.error_len().is_none() => self.held += 1,
                // The held bytes were a valid beginning: it is this one that does not fit.
                Err(_) => return Err(self.checked + held as u64),
            }
            data = rest;
        }
        let (whole, partial) = data.split_at(complete(data));
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(self.checked + locate(data));
        }
        self.checked += whole.len() as u64;
        if let Err(error) = std::str::from_utf8(partial) {
            if error.error_len().is_some() {
                return Err(self.checked + bad_byte(partial, error.valid_up_to()));
            }
            self.partial[..partial.len()].copy_from_slice(partial);
            self.held = partial.len() as u8;
        }
        Ok(())
    }

    /// The text is over: fails when its last character is not complete.
    pub fn finish(&self) -> Result<(), u64> {
        if self.held == 0 { Ok(()) } else { Err(self.checked + u64::from(self.held)) }
    }
}

/// Checks a whole text; the error is the offset of the first bad byte.
#[inline]
pub fn check(text: &[u8]) -> Result<(), u64> {
    if simdutf8::basic::from_utf8(text).is_ok() { Ok(()) } else { Err(locate(text)) }
}

#[cold]
fn locate(text: &[u8]) -> u64 {
    match std::str::from_utf8(text) {
        Ok(_) => text.len() as u64,
        Err(error) => bad_byte(&text[error.valid_up_to()..], 0) + error.valid_up_to() as u64,
    }
}

/// The first byte of `text[from..]`, which begins with a bad character, that no continuation can mend.
fn bad_byte(text: &[u8], from: usize) -> u64 {
    let bad = &text[from..];
    let begins_well = |n: &usize| std::str::from_utf8(&bad[..*n]).is_err_and(|e| e.error_len().is_none());
    (from + (1..=bad.len().min(3)).take_while(begins_well).count()) as u64
}

/// How many bytes of `data` stand before a character at its end that may be incomplete.
#[inline]
fn complete(data: &[u8]) -> usize {
    let end = data.len();
    for back in 1..=end.min(3) {
        let byte = data[end - back];
        if byte & 0xc0 != 0x80 {
            let needs = match byte {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            return if needs > back { end - back } else { end };
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fed byte by byte, the oracle fails at the first byte after which std sees a definite error.
    fn oracle(text: &[u8]) -> Result<(), u64> {
        for n in 1..=text.len() {
            if std::str::from_utf8(&text[..n]).is_err_and(|e| e.error_len().is_some()) {
                return Err(n as u64 - 1);
            }
        }
        if std::str::from_utf8(text).is_ok() { Ok(()) } else { Err(text.len() as u64) }
    }

    fn in_two(text: &[u8], split: usize) -> Result<(), u64> {
        let mut utf8 = Utf8::new();
        utf8.push(&text[..split])?;
        utf8.push(&text[split..])?;
        utf8.finish()
    }

    fn byte_by_byte(text: &[u8]) -> Result<(), u64> {
        let mut utf8 = Utf8::new();
        text.iter().try_for_each(|byte| utf8.push(std::slice::from_ref(byte)))?;
        utf8.finish()
    }

    #[test]
    fn agrees_with_the_oracle_on_every_split_of_hard_cases() {
        let hard: [&[u8]; 16] = [
            b"",
            b"plain",
            "κόσμε".as_bytes(),
            "发送数据 🎉".as_bytes(),
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
            b"\xf4\x90\x80\x80",
            b"\xf4\x8f\xbf\xbf",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xff",
            b"\x80",
            b"ab\xe2\x82",
            b"\xf8\x88\x80\x80\x80",
        ];
        for text in hard {
            for padding in [0, 1, 63, 64, 130] {
                let text = [&b"a".repeat(padding), text].concat();
                let expected = oracle(&text);
                assert_eq!(byte_by_byte(&text), expected, "{text:x?}");
                for split in 0..=text.len() {
                    assert_eq!(in_two(&text, split), expected, "{text:x?} at {split}");
                }
                if expected.is_ok() {
                    assert_eq!(check(&text), Ok(()));
                } else {
                    assert_eq!(check(&text), expected, "{text:x?}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_oracle_on_random_bytes() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut text = Vec::new();
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            for i in 0..(state >> 60) {
                let byte = (state >> (i * 4 % 56)) as u8;
                text.push([byte, byte | 0x80, 0xe0 | byte & 15, 0xf0 | byte & 7][(state >> (i % 50)) as usize & 3]);
            }
            let expected = oracle(&text);
            assert_eq!(byte_by_byte(&text), expected, "{text:x?}");
            assert_eq!(in_two(&text, text.len() / 2), expected, "{text:x?}");
            assert_eq!(check(&text), expected, "{text:x?}");
        }
    }
}
