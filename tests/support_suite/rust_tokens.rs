//! Rust source, cut into what its meaning is made of. Enough for the checks here, no more.

/// Words, `::` and single signs, without comments, strings, characters and lifetimes.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => comment(rest),
            '"' => 1 + quoted(&rest[1..]),
            '\'' => character_or_lifetime(rest),
            'r' | 'b' if string_prefix(rest).is_some() => string_prefix(rest).unwrap_or(1),
            _ if first.is_alphanumeric() || first == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let word = &rest[..end.unwrap_or(rest.len())];
                found.push(word.to_owned());
                word.len()
            }
            _ if rest.starts_with("::") => {
                found.push("::".to_owned());
                2
            }
            _ => {
                found.extend((!first.is_whitespace()).then(|| first.to_string()));
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}

/// The length of a comment that may hold others.
fn comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of what stands before a closing quote, and the quote.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let after = escaped + c.len_utf8();
            text[after..].find('\'').map_or(text.len(), |at| after + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        // A lifetime, `'static` among them.
        _ => {
            let end = text[1..].find(|c: char| !c.is_alphanumeric() && c != '_');
            end.map_or(text.len(), |end| 1 + end)
        }
    }
}

/// The length of a string that begins with `b`, `r` or `br`, or a byte.
fn string_prefix(text: &str) -> Option<usize> {
    let (bytes, after) = text.strip_prefix('b').map_or((0, text), |after| (1, after));
    if bytes == 1 && after.starts_with('\'') {
        return Some(1 + character_or_lifetime(after));
    }
    if bytes == 1 && after.starts_with('"') {
        return Some(2 + quoted(&after[1..]));
    }
    let raw = after.strip_prefix('r')?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let inner = raw[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inner.find(&close)?;
    Some(bytes + 1 + hashes + 1 + end + close.len())
}
