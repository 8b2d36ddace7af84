//! `#[invalidates]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::cached::{kind_of, ours, tags};
use crate::function::Function;
use crate::options::{Options, required};
use crate::template::Template;

const OPTIONS: [&str; 8] =
    ["cache", "namespace", "keys", "patterns", "tags", "scopes", "strict", "crate"];

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(options, &OPTIONS)?;
    let function = Function::parse(function, "invalidates")?;
    let cache = required(options.cache.as_ref(), "cache = self.cache")?;
    let krate = options.krate();
    let mut scopes = Vec::new();
    if !options.keys.is_empty() || !options.patterns.is_empty() {
        let namespace = required(options.namespace.as_ref(), "namespace = ANALYTICS")?;
        for key in &options.keys {
            let key = Template::parse(key, &function)?.to_key(&krate)?;
            scopes.push(quote!(.key(&#namespace, #key)));
        }
        for pattern in &options.patterns {
            let (pattern, values) = Template::parse(pattern, &function)?.to_pattern(&krate)?;
            scopes.push(quote!(.pattern(&#namespace, #pattern, [#(#values),*])));
        }
    } else if let Some(namespace) = &options.namespace {
        let message =
            "of this namespace, `keys(..)` or `patterns(..)`; `scopes(..)` takes it whole";
        return Err(syn::Error::new_spanned(namespace, message));
    }
    let tags = tags(&options.tags, &function, &krate)?;
    let others = &options.scopes;
    if scopes.is_empty() && tags.is_empty() && others.is_empty() {
        let message =
            "nothing is invalidated: `tags(..)`, `keys(..)`, `patterns(..)`, `scopes(..)`";
        return Err(syn::Error::new(Span::call_site(), message));
    }

    // Ours, whatever names the function has.
    let (change, kind, output) = (ours("change"), ours("kind"), ours("output"));
    let cache = quote_spanned!(cache.span().resolved_at(Span::mixed_site())=> &#cache);
    let returned = kind_of(&function, &krate);
    let strict = options.strict.iter().map(|span| {
        let strict = Ident::new("strict", span.resolved_at(Span::mixed_site()));
        quote!(.#strict())
    });
    Ok(function.with_body(|body| {
        quote! {
            let #change = #krate::__private::Change::new(#cache)
                #(#scopes)* #(.tag(#tags))* #(.scope(#others))*;
            let #kind = #returned;
            let #output = async move {
                if false {
                    return #kind.output();
                }
                #body
            }.await;
            #kind #(#strict)* .end(#change, #output).await
        }
    }))
}
