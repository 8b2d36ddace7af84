//! **Pure**: where a reply of RESP2 or RESP3 ends, and how one is written.

use crate::resp::Reply;

/// The length of the first whole reply in these bytes; `None`: it is not all there yet.
///
/// What is no RESP counts as a line.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || -> usize {
        let digits = std::str::from_utf8(&bytes[1..line - 2]).unwrap_or_default();
        digits.parse().unwrap_or(0) // -1: nothing follows
    };
    match bytes[0] {
        b'$' | b'!' | b'=' => {
            let is_nil = bytes[1] == b'-';
            let end = if is_nil { line } else { line + number() + 2 };
            (bytes.len() >= end).then_some(end)
        }
        b'*' | b'~' | b'>' => all(bytes, line, number()),
        b'%' => all(bytes, line, 2 * number()),
        // What it is about follows the attributes.
        b'|' => all(bytes, line, 2 * number() + 1),
        _ => Some(line),
    }
}

/// Whether it came without being asked for.
pub fn is_push(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'>')
}

fn all(bytes: &[u8], from: usize, items: usize) -> Option<usize> {
    (0..items).try_fold(from, |at, _| Some(at + length(bytes.get(at..)?)?))
}

/// As it goes over the wire, in RESP2.
pub fn render(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Simple(text) => format!("+{text}\r\n").into_bytes(),
        Reply::Error(text) => format!("-{text}\r\n").into_bytes(),
        Reply::Int(number) => format!(":{number}\r\n").into_bytes(),
        Reply::Bulk(None) => b"$-1\r\n".to_vec(),
        Reply::Bulk(Some(bytes)) => {
            [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
        }
        Reply::Array(items) => {
            let head = format!("*{}\r\n", items.len()).into_bytes();
            items.iter().fold(head, |text, item| [text, render(item)].concat())
        }
    }
}

/// The words of a command, and how many bytes it takes; `None`: it is not all there yet.
pub(crate) fn command(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let end = length(bytes)?;
    let mut words = Vec::new();
    let mut at = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    if bytes[0] != b'*' {
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let words = line.split_whitespace().map(|word| word.as_bytes().to_vec());
        return Some((words.collect(), end));
    }
    while at < end {
        let word = length(&bytes[at..])?;
        let head = bytes[at..].windows(2).position(|two| two == b"\r\n")? + 2;
        words.push(bytes[at + head..at + word - 2].to_vec());
        at += word;
    }
    Some((words, end))
}
