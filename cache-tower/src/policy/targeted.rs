//! Fields such as `CDN-Cache-Control`, which take the place of `Cache-Control` for the caches they
//! are meant for (RFC 9213).
//!
//! ```text
//! let targets = [HeaderName::from_static("cdn-cache-control")];
//! let directives = applicable(&headers, &targets);   // Cache-Control: no-store
//! assert_eq!(directives.max_age, Some(60));          // CDN-Cache-Control: max-age=60
//! assert!(directives.targeted && !directives.no_store);
//! ```

use std::borrow::Cow;
use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser, StringRef};

use super::field::MAX_DELTA_SECONDS;
use super::structured::combined;
use super::{FieldForm, ResponseDirectives};

/// The directives that hold for a cache with these targets: those of the first targeted field that
/// is well-formed and not empty, else those of `Cache-Control` (RFC 9213 §2.2).
pub(crate) fn applicable(headers: &HeaderMap, targets: &[HeaderName]) -> ResponseDirectives {
    let targeted = targets.iter().find_map(|name| parse(&combined(headers, name)?));
    targeted.unwrap_or_else(|| ResponseDirectives::from_headers(headers))
}

/// A targeted field; `None` if it is empty or breaks the grammar anywhere (RFC 9213 §2.1).
fn parse(value: &[u8]) -> Option<ResponseDirectives> {
    Parser::new(value).parse_dictionary_with_visitor(Members::default()).ok().flatten()
}

#[derive(Default)]
struct Members {
    directives: ResponseDirectives,
    any: bool,
}

impl<'de> DictionaryVisitor<'de> for Members {
    type Out = Option<ResponseDirectives>;
    type Error = Infallible;

    fn entry(&mut self, name: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        self.any = true;
        Ok(Member { directives: &mut self.directives, name: name.as_str() })
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        let directives = ResponseDirectives { targeted: true, ..self.directives };
        Ok(self.any.then_some(directives))
    }
}

/// One directive, its value about to be read.
struct Member<'d, 'de> {
    directives: &'d mut ResponseDirectives,
    name: &'de str,
}

impl<'de> EntryVisitor<'de> for Member<'_, 'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        // RFC 9213 §2.1: parameters are ignored.
        Ok(move |item: BareItemFromInput<'de>| {
            self.set(&Value::of(item));
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        self.set(&Value::Other);
        Ok(Ignored)
    }
}

impl Member<'_, '_> {
    /// Of members with the same name the last one counts (RFC 9651 §4.2.2). A value of the wrong
    /// type is not used (RFC 9213 §2.1): a lifetime is over then (RFC 9111 §4.2.1), a permission
    /// isn't given, and a restriction holds all the same.
    fn set(self, value: &Value<'_>) {
        let Self { directives, name } = self;
        match name {
            "max-age" => directives.max_age = Some(value.seconds()),
            "s-maxage" => directives.s_maxage = Some(value.seconds()),
            "stale-while-revalidate" => directives.stale_while_revalidate = Some(value.seconds()),
            "stale-if-error" => directives.stale_if_error = Some(value.seconds()),
            "no-cache" => directives.no_cache = value.fields(),
            "private" => directives.private = value.fields(),
            "no-store" => directives.no_store = true,
            "must-revalidate" => directives.must_revalidate = true,
            "proxy-revalidate" => directives.proxy_revalidate = true,
            "public" => directives.public = value.is_true(),
            // A restriction, and the permission to overlook a no-store.
            "must-understand" => directives.must_understand = value.is_true(),
            "immutable" => directives.immutable = value.is_true(),
            _ => {}
        }
    }
}

/// The value of a directive, in the types that directives have (RFC 9213 §2.1).
enum Value<'de> {
    True,
    Integer(i64),
    Text(Cow<'de, StringRef>),
    Other,
}

impl<'de> Value<'de> {
    fn of(item: BareItemFromInput<'de>) -> Self {
        match item {
            BareItemFromInput::Boolean(true) => Self::True,
            BareItemFromInput::Integer(number) => Self::Integer(number.into()),
            BareItemFromInput::String(text) => Self::Text(text),
            _ => Self::Other,
        }
    }

    fn is_true(&self) -> bool {
        matches!(self, Self::True)
    }

    /// 0 where it is no number of seconds (RFC 9111 §1.2.2).
    fn seconds(&self) -> u32 {
        let Self::Integer(seconds) = self else { return 0 };
        let most = i64::from(MAX_DELTA_SECONDS);
        u32::try_from(*seconds.clamp(&0, &most)).unwrap_or(0)
    }

    fn fields(&self) -> FieldForm {
        match self {
            Self::Text(names) => FieldForm::of_list(names.as_str().as_bytes()),
            _ => FieldForm::All,
        }
    }
}

#[cfg(test)]
mod tests;
