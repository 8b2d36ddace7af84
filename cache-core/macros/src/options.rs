//! What stands in the parentheses of an attribute: `name = value`, `name(values)`, `name`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, LitStr, Path, Token, parenthesized};

/// The options that either attribute has; which of them are allowed, each says itself.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) cache: Option<Expr>,
    pub(crate) namespace: Option<Expr>,
    pub(crate) key: Option<LitStr>,
    pub(crate) keys: Vec<LitStr>,
    pub(crate) patterns: Vec<LitStr>,
    pub(crate) ttl: Option<Expr>,
    /// Templates, or whatever is made into a tag.
    pub(crate) tags: Vec<Expr>,
    pub(crate) scopes: Vec<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) strict: Option<Span>,
    krate: Option<Path>,
}

impl Options {
    /// Reads the options of an attribute that has these.
    pub(crate) fn parse(tokens: TokenStream, allowed: &[&str]) -> syn::Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                // `crate` is a keyword.
                let name = input.call(Ident::parse_any)?;
                if !allowed.contains(&name.to_string().as_str()) {
                    let message = format!("no such option; there are {}", allowed.join(", "));
                    return Err(syn::Error::new(name.span(), message));
                }
                if seen.contains(&name) {
                    return Err(syn::Error::new(name.span(), format!("`{name}` is there twice")));
                }
                options.read(&name, input)?;
                seen.push(name);
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        parser.parse2(tokens)?;
        Ok(options)
    }

    fn read(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "cache" => self.cache = Some(value(input)?),
            "namespace" => self.namespace = Some(value(input)?),
            "key" => self.key = Some(value(input)?),
            "ttl" => self.ttl = Some(value(input)?),
            "crate" => self.krate = Some(value(input)?),
            "keys" => self.keys = values(input)?,
            "patterns" => self.patterns = values(input)?,
            "tags" => self.tags = values(input)?,
            "scopes" => self.scopes = values(input)?,
            "skip" => self.skip = list(input, Ident::parse_any)?,
            _ => self.strict = Some(name.span()),
        }
        Ok(())
    }

    /// How to name `cache_core`.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::cache_core), |path| quote!(#path))
    }
}

/// The value of an option that has to be there.
pub(crate) fn required<'a, T>(value: Option<&'a T>, example: &str) -> syn::Result<&'a T> {
    let missing = || syn::Error::new(Span::call_site(), format!("missing: `{example}`"));
    value.ok_or_else(missing)
}

/// The text, if it is one.
pub(crate) fn as_text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

fn value<T: syn::parse::Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn values<T: syn::parse::Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    list(input, T::parse)
}

fn list<T>(
    input: ParseStream<'_>,
    one: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated_with(&content, one)?.into_iter().collect())
}
