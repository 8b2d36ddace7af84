//! Structured fields (RFC 9651): a value is read whole and strictly, or it is not there.
//!
//! ```text
//! let value = combined(headers, &name)?;   // "a=1" + "b"  ->  a=1, b
//! ```

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// All lines of a field as the one value that they are (RFC 9651 §4.2); `None` without the field.
pub(super) fn combined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, [u8]>> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut value = Cow::Borrowed(lines.next()?);
    for line in lines {
        let value = value.to_mut();
        value.extend_from_slice(b", ");
        value.extend_from_slice(line);
    }
    Some(value)
}
