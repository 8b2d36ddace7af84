//! Where a message of the Redis protocol ends, and what command it is. RESP2 and RESP3.

/// The length of the first message, if it is there as a whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || -> Option<usize> {
        let digits = std::str::from_utf8(bytes.get(1..line - 2)?).ok()?;
        // Nil has the length -1.
        Some(digits.parse::<i64>().ok()?.try_into().unwrap_or(0))
    };
    match bytes.first()? {
        b'$' | b'=' | b'!' => {
            let nil = bytes.get(1) == Some(&b'-');
            let whole = if nil { line } else { line + number()? + 2 };
            (bytes.len() >= whole).then_some(whole)
        }
        b'*' | b'~' | b'>' => several(bytes, line, number()?),
        b'%' => several(bytes, line, number()? * 2),
        _ => Some(line),
    }
}

fn several(bytes: &[u8], mut at: usize, count: usize) -> Option<usize> {
    for _ in 0..count {
        at += length(bytes.get(at..)?)?;
    }
    Some(at)
}

/// The name of a command, in capitals.
pub(super) fn name(command: &[u8]) -> String {
    let mut lines = command.split(|byte| *byte == b'\n').skip(2);
    let name = lines.next().unwrap_or_default();
    String::from_utf8_lossy(name).trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_it_ends() {
        for whole in [
            "+OK\r\n",
            "-ERR x\r\n",
            ":-1\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            "$0\r\n\r\n",
            "$2\r\n\r\n\r\n",
            "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
            ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
            "%1\r\n+server\r\n+redis\r\n",
        ] {
            let more = format!("{whole}+more\r\n");
            assert_eq!(length(more.as_bytes()), Some(whole.len()), "{whole:?}");
            for end in 0..whole.len() {
                assert_eq!(length(&whole.as_bytes()[..end]), None, "{whole:?} up to {end}");
            }
        }
        assert_eq!(name(b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n"), "GET");
    }
}
