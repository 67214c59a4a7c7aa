//! What a peer has sent, made safe to look at: a terminal obeys control characters, and so would we.

use std::fmt::Write;

/// Bytes of a binary message that are shown.
const EXCERPT: usize = 48;

/// Text for a terminal: what would move the cursor, change colours or turn the direction of writing is written
/// out. Lines stay lines, tabs stay tabs.
pub(crate) fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            _ if is_unsafe(character) => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// The same on one line, and no longer than a line of a log should be.
pub(crate) fn line(text: &str, max_characters: usize) -> String {
    let mut line = shown(text.trim()).replace('\n', "\\n").replace('\t', " ");
    if let Some((end, _)) = line.char_indices().nth(max_characters) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The beginning of some bytes: their number, hexadecimal, and those that are ASCII.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let mut shown = format!("{} byte{}", bytes.len(), if bytes.len() == 1 { "" } else { "s" });
    let (head, is_cut) = (&bytes[..bytes.len().min(EXCERPT)], bytes.len() > EXCERPT);
    if head.is_empty() {
        return shown;
    }
    shown.push(':');
    for byte in head {
        let _ = write!(shown, " {byte:02x}");
    }
    shown.push_str(if is_cut { " …  " } else { "  " });
    shown.extend(head.iter().map(|byte| if matches!(byte, 0x20..0x7f) { char::from(*byte) } else { '.' }));
    shown
}

fn is_unsafe(character: char) -> bool {
    // C0, DEL and C1; line and paragraph separators; what turns the direction of writing; what cannot be seen.
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(shown("a\x1b[31mb\r\x07\u{9b}2J\u{202e}\x7f"), "a\\u{1b}[31mb\\r\\u{7}\\u{9b}2J\\u{202e}\\u{7f}");
        assert_eq!(shown("two\nlines\tgrüße 语 😀"), "two\nlines\tgrüße 语 😀");
    }

    #[test]
    fn a_line_is_one_line_and_bounded() {
        assert_eq!(line("  a\nb\tc  ", 99), "a\\nb c");
        assert_eq!(line("语语语语", 3), "语语语…");
    }

    #[test]
    fn an_excerpt_tells_length_bytes_and_letters() {
        assert_eq!(excerpt(b""), "0 bytes");
        assert_eq!(excerpt(b"\x00A"), "2 bytes: 00 41  .A");
        assert_eq!(excerpt(b"\xff"), "1 byte: ff  .");
        let long = excerpt(&[b'z'; 1000]);
        assert!(long.starts_with("1000 bytes: 7a 7a") && long.contains(" …  zz"), "{long}");
        assert!(long.len() < 300);
    }
}
