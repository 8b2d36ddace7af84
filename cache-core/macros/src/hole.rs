//! `{name}`, `{self.field}`, `{params:hash}`: a place in a template, and the value that goes there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Expr, LitStr};

use crate::function::Function;

/// A value of a function, as named in a template.
#[derive(Clone)]
pub(crate) struct Hole {
    pub(crate) value: TokenStream,
    /// Any value that serde can serialize, as a digest.
    pub(crate) hashed: bool,
    /// The parameter that it names; nothing for `self`, and for paths to constants.
    pub(crate) parameter: Option<String>,
}

impl Hole {
    /// `text` is what is between the braces; `span` is for messages.
    pub(crate) fn parse(text: &str, span: Span, function: &Function) -> syn::Result<Self> {
        let (name, hashed) = match text.strip_suffix(":hash") {
            Some(name) if !name.ends_with(':') => (name, true),
            _ => (text, false),
        };
        if name.is_empty() {
            return Err(syn::Error::new(span, "`{}` names no parameter"));
        }
        if let Some(parameter) = function.named(name) {
            // What it is stays the parameter's, where it is seen is the template.
            let mut value = parameter.clone();
            value.set_span(span.resolved_at(parameter.span()));
            return Ok(Self { value: quote!(#value), hashed, parameter: Some(name.to_owned()) });
        }
        let value = LitStr::new(name, span).parse::<Expr>();
        let Some(root) = value.as_ref().ok().and_then(root) else {
            let message = format!(
                "`{{{text}}}`: a value is a parameter, a field (`{{self.id}}`) or a constant \
                 (`{{Self::KIND}}`); with `:hash`, anything that serde can serialize"
            );
            return Err(syn::Error::new(span, message));
        };
        let parameter = match &root {
            Root::Value(name) if name == "self" => {
                if !function.has_receiver() {
                    let message = format!("`{}` has no `self`", function.name());
                    return Err(syn::Error::new(span, message));
                }
                None
            }
            Root::Value(name) => {
                let known = function.named(&name.unraw().to_string());
                Some(known.ok_or_else(|| unknown(name, span, function))?.unraw().to_string())
            }
            Root::Path(first) => function.named(&first.unraw().to_string()).map(Ident::to_string),
        };
        let value = value?;
        Ok(Self { value: quote!(#value), hashed, parameter })
    }
}

fn unknown(name: &Ident, span: Span, function: &Function) -> syn::Error {
    let parameters: Vec<_> = function.parameters().iter().map(|p| format!("`{p}`")).collect();
    let parameters = match parameters.as_slice() {
        [] => "it has none".to_owned(),
        parameters => format!("it has {}", parameters.join(", ")),
    };
    let message = format!("`{}` has no parameter `{name}`: {parameters}", function.name());
    syn::Error::new(span, message)
}

enum Root {
    Value(Ident),
    /// The first name of several.
    Path(Ident),
}

/// What an expression of the allowed forms begins with.
fn root(value: &Expr) -> Option<Root> {
    match value {
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => {
            let plain = path.path.segments.iter().all(|segment| segment.arguments.is_none());
            let first = path.path.segments.first()?.ident.clone();
            let single = path.path.get_ident().is_some();
            plain.then_some(if single { Root::Value(first) } else { Root::Path(first) })
        }
        Expr::Field(field) if field.attrs.is_empty() => root(&field.base),
        _ => None,
    }
}
