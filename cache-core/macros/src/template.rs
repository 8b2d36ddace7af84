//! Templates: text with holes, for keys, patterns and tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::spanned::Spanned;

use crate::function::Function;
use crate::hole::Hole;

/// A part of a template.
#[derive(Clone)]
pub(crate) enum Piece {
    Text(String),
    Hole(Hole),
}

/// A template that has been checked against the parameters of a function.
pub(crate) struct Template {
    text: LitStr,
    pieces: Vec<Piece>,
}

impl Template {
    /// `{{` and `}}` stand for braces.
    pub(crate) fn parse(text: &LitStr, function: &Function) -> syn::Result<Self> {
        let error = |message: &str| Err(syn::Error::new(text.span(), message));
        let value = text.value();
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), value.as_str());
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.extend(from.chars().next());
                rest = after;
                continue;
            }
            let Some((hole, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}'))
            else {
                return error("a brace without its other half; `{{` and `}}` stand for braces");
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Hole(Hole::parse(hole, text.span(), function)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if pieces.is_empty() {
            return error("a template without text");
        }
        Ok(Self { text: text.clone(), pieces })
    }

    /// The names of the parameters in it.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => hole.parameter.as_deref(),
            Piece::Text(_) => None,
        })
    }

    /// As a whole, for tags: a `String`, or an error of `cache_core`.
    pub(crate) fn to_text(&self, krate: &TokenStream) -> TokenStream {
        render(&self.pieces, krate)
    }

    /// As a key: `__private::KeyParts`.
    pub(crate) fn to_key(&self, krate: &TokenStream) -> syn::Result<TokenStream> {
        let mut key = quote!(#krate::__private::KeyParts::new());
        for segment in self.segments()? {
            if segment.iter().any(|p| matches!(p, Piece::Text(text) if text.contains(['*', '?']))) {
                return Err(self.error("a key has no wildcards: `patterns(..)` has"));
            }
            let text = render(&segment, krate);
            key = quote!(#key.segment(#text));
        }
        Ok(key)
    }

    /// As a pattern: the text of a `cache_core::Template` whose holes are numbered, and what goes
    /// there.
    pub(crate) fn to_pattern(
        &self,
        krate: &TokenStream,
    ) -> syn::Result<(String, Vec<TokenStream>)> {
        let (mut pattern, mut values, mut literal) = (Vec::new(), Vec::new(), false);
        for segment in self.segments()? {
            match segment.as_slice() {
                [Piece::Hole(_)] => {
                    pattern.push(format!("{{{}}}", values.len()));
                    values.push(render(&segment, krate));
                    literal = true;
                }
                [] => {
                    pattern.push(String::new());
                    literal = true;
                }
                [Piece::Text(text)] => {
                    let wild = text == "*";
                    if !wild && text.contains(['*', '?']) {
                        return Err(self.error(
                            "in a pattern, `*` stands for a whole segment, or for the rest",
                        ));
                    }
                    if text.contains(['{', '}']) {
                        return Err(self.error("a pattern has no braces but those of its values"));
                    }
                    literal |= !wild;
                    pattern.push(text.clone());
                }
                _ => return Err(self.error("in a pattern, a value is a whole segment")),
            }
        }
        if !literal {
            return Err(self.error("a pattern needs a segment that is not `*`"));
        }
        Ok((pattern.join(":"), values))
    }

    /// The pieces between the colons of the text, each with one value at most.
    fn segments(&self) -> syn::Result<Vec<Vec<Piece>>> {
        let mut segments = vec![Vec::new()];
        let mut add = |piece: Option<Piece>, next: bool| {
            if next {
                segments.push(Vec::new());
            }
            if let Some(last) = segments.last_mut() {
                last.extend(piece);
            }
        };
        for piece in &self.pieces {
            match piece {
                Piece::Hole(_) => add(Some(piece.clone()), false),
                Piece::Text(text) => {
                    for (n, text) in text.split(':').enumerate() {
                        let piece = (!text.is_empty()).then(|| Piece::Text(text.to_owned()));
                        add(piece, n > 0);
                    }
                }
            }
        }
        let holes = |segment: &Vec<Piece>| {
            segment.iter().filter(|piece| matches!(piece, Piece::Hole(_))).count()
        };
        if segments.iter().any(|segment| holes(segment) > 1) {
            return Err(self.error(
                "two values in one segment can be taken for two others: put a `:` between them",
            ));
        }
        Ok(segments)
    }

    fn error(&self, message: &str) -> syn::Error {
        syn::Error::new(self.text.span(), message)
    }
}

/// The text of these pieces: a `Result<String, cache_core::Error>`.
fn render(pieces: &[Piece], krate: &TokenStream) -> TokenStream {
    let parts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => quote!(.text(#text)),
        Piece::Hole(Hole { value, hashed, .. }) => {
            // Where a value that can't be put there is seen.
            let span = value.span().resolved_at(Span::mixed_site());
            let put = Ident::new(if *hashed { "hash" } else { "value" }, span);
            quote_spanned!(span=> .#put(&#value))
        }
    });
    quote!(#krate::__private::Text::new() #(#parts)*)
}
