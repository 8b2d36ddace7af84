//! The grammar of `Cache-Control`: a list of `name`, `name=token`, `name="quoted"` (RFC 9111 §5.2).
//!
//! Any bytes are accepted. What breaks the grammar yields a directive whose argument is unreadable,
//! never one directive fewer: nothing a sender gets wrong hides a `no-store` beside it.
//!
//! ```text
//! let mut found = directives(headers.get_all(CACHE_CONTROL));   // a="x, y", max-age=5
//! assert_eq!(found.next().unwrap().name, b"a");
//! assert_eq!(found.next().unwrap().argument.seconds(), Some(5));
//! ```

use http::HeaderValue;

use super::field::delta_seconds;

/// `name`, `name=token` or `name="quoted"` (RFC 9111 §5.2).
pub(super) struct Directive<'a> {
    pub(super) name: &'a [u8],
    pub(super) argument: Argument<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Argument<'a> {
    None,
    Token(&'a [u8]),
    /// What stands between the quotes, escapes included.
    Quoted(&'a [u8]),
    Malformed,
}

impl<'a> Argument<'a> {
    /// The argument's bytes, without quotes and escapes (RFC 9110 §5.6.4).
    pub(super) fn value(self) -> Option<impl Iterator<Item = u8> + 'a> {
        let (bytes, quoted) = match self {
            Self::None | Self::Malformed => return None,
            Self::Token(bytes) => (bytes, false),
            Self::Quoted(bytes) => (bytes, true),
        };
        let mut escaped = false;
        Some(bytes.iter().copied().filter(move |byte| {
            escaped = quoted && *byte == b'\\' && !escaped;
            !escaped
        }))
    }

    /// The argument as delta-seconds, quoted or not (RFC 9111 §1.2.2).
    pub(super) fn seconds(self) -> Option<u32> {
        delta_seconds(self.value()?)
    }
}

/// All directives of all lines. Lines are read one by one, so that a quote left open in one can't
/// hide the next.
pub(super) fn directives<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = Directive<'a>> {
    values.into_iter().flat_map(|value| {
        let mut rest = value.as_bytes();
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let directive;
                (directive, rest) = next_directive(rest);
                if !directive.name.is_empty() {
                    return Some(directive);
                }
            }
            None
        })
    })
}

fn next_directive(text: &[u8]) -> (Directive<'_>, &[u8]) {
    let (written, rest) = cut(text, |byte| matches!(byte, b'=' | b','));
    let name = written.trim_ascii();
    let Some(rest) = rest.strip_prefix(b"=") else {
        return (Directive { name, argument: Argument::None }, after_comma(rest));
    };
    let (argument, rest) = next_argument(rest);
    // No white space belongs around "=" (RFC 9111 §5.2): the directive is meant, its value unsure.
    let spaced = written.trim_ascii_start().len() != name.len();
    (Directive { name, argument: if spaced { Argument::Malformed } else { argument } }, rest)
}

fn next_argument(text: &[u8]) -> (Argument<'_>, &[u8]) {
    if let Some((quoted, rest)) = quoted_string(text) {
        let (trailing, rest) = cut(rest, |byte| byte == b',');
        let clean = trailing.trim_ascii().is_empty();
        let argument = if clean { Argument::Quoted(quoted) } else { Argument::Malformed };
        return (argument, after_comma(rest));
    }
    // A quote that never closes is read as a token, so that it can't hide what follows it.
    let (token, rest) = cut(text, |byte| byte == b',');
    (Argument::Token(token.trim_ascii_end()), after_comma(rest))
}

/// Splits a leading quoted-string off, quotes removed; a `\` keeps the byte after it from closing.
fn quoted_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = inner.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })?;
    let (quoted, rest) = inner.split_at_checked(end)?;
    Some((quoted, rest.strip_prefix(b"\"")?))
}

fn cut(text: &[u8], stop: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| stop(*byte)).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, &[]))
}

fn after_comma(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b",").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Renders what was found: `name`, `name=value`, `name=?` for an unreadable argument.
    fn read(lines: &[&[u8]]) -> Vec<String> {
        let values: Vec<_> = lines.iter().map(|l| HeaderValue::from_bytes(l).unwrap()).collect();
        directives(&values)
            .map(|Directive { name, argument }| {
                let name = String::from_utf8_lossy(name).into_owned();
                match (argument, argument.value()) {
                    (Argument::None, _) => name,
                    (_, None) => format!("{name}=?"),
                    (_, Some(v)) => {
                        format!("{name}={}", String::from_utf8_lossy(&v.collect::<Vec<_>>()))
                    }
                }
            })
            .collect()
    }

    #[test]
    fn splits_and_unquotes() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["a, b=1,c=\"x, y\""], &["a", "b=1", "c=x, y"]),
            (&[" , ,a ,,", "", "b"], &["a", "b"]),
            (&["a=\"\\\"b\\\\\", c"], &["a=\"b\\", "c"]),
            (&["a=\"\", b="], &["a=", "b="]),
            (&["a =1, b= 1, c = 1"], &["a=?", "b= 1", "c=?"]),
            (&["a=\"1\"x, b"], &["a=?", "b"]),
            (&["a=\"1\" , b"], &["a=1", "b"]),
            (&["=1, a"], &["a"]),
            // A quote left open hides nothing, neither on its line nor on the next.
            (&["a=\"b, no-store", "no-cache"], &["a=\"b", "no-store", "no-cache"]),
            (&["a=\"b\\\", no-store"], &["a=\"b\\\"", "no-store"]),
            (&["\"a, b\""], &["\"a", "b\""]),
        ];
        for (lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(read(&lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn obs_text_is_tolerated() {
        assert_eq!(read(&[b"\xff\xfe=\"\x80\", no-store"]).last().unwrap(), "no-store");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                for directive in directives([&value]) {
                    directive.argument.seconds();
                }
            }
        }

        #[test]
        fn a_final_directive_is_never_hidden(
            text in "[a-z=\\\\\" ,]{0,24}"
        ) {
            let value = HeaderValue::try_from(format!("{text},no-store")).unwrap();
            prop_assert!(directives([&value]).any(|found| found.name == b"no-store"));
        }
    }
}
