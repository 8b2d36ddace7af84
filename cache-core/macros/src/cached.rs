//! `#[cached]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Expr;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::function::Function;
use crate::options::{Options, as_text, required};
use crate::template::Template;
use crate::ttl::milliseconds;

const OPTIONS: [&str; 7] = ["cache", "namespace", "key", "ttl", "tags", "skip", "crate"];

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(options, &OPTIONS)?;
    let function = Function::parse(function, "cached")?;
    let cache = required(options.cache.as_ref(), "cache = self.cache")?;
    let namespace = required(options.namespace.as_ref(), "namespace = ANALYTICS")?;
    let key = required(options.key.as_ref(), "key = \"{workspace_id}:{id}\"")?;
    if function.returns_nothing() {
        let message = "there is nothing to cache: the function returns no value";
        return Err(syn::Error::new(function.name().span(), message));
    }
    let key = Template::parse(key, &function)?;
    check_parameters(&function, &key, &options.skip)?;
    let krate = options.krate();
    let key = key.to_key(&krate)?;
    let ttl = options.ttl.iter().map(|ttl| ttl_of(ttl, &krate)).collect::<syn::Result<Vec<_>>>()?;
    let tags = tags(&options.tags, &function, &krate)?;

    // Ours, whatever names the function has.
    let (call, kind) = (ours("call"), ours("kind"));
    let returned = kind_of(&function, &krate);
    let cache = quote_spanned!(cache.span().resolved_at(Span::mixed_site())=> &#cache);
    let at_type = function.returned().span().resolved_at(Span::mixed_site());
    let (cached, run) = (Ident::new("cached", at_type), Ident::new("run", at_type));
    Ok(function.with_body(|body| {
        quote! {
            let #call = #krate::__private::Call::new(
                #krate::Cache::namespace(#cache, &#namespace),
                #key,
            ) #(.ttl(#ttl))* #(.tag(#tags))*;
            let #kind = #returned.#cached();
            #kind.#run(#call, move || async move {
                if false {
                    return #kind.output();
                }
                #body
            }).await
        }
    }))
}

/// A name that nothing in the function can mean.
pub(crate) fn ours(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What kind of type the function returns: its `Result`, under whatever name, or any other.
pub(crate) fn kind_of(function: &Function, krate: &TokenStream) -> TokenStream {
    let returned = function.returned();
    quote! {
        {
            #[allow(unused_imports)]
            use #krate::__private::AnyType as _;
            #krate::__private::Returned::<#returned>::new().kind()
        }
    }
}

/// Each a `Text` or a `Tag`.
pub(crate) fn tags(
    tags: &[Expr],
    function: &Function,
    krate: &TokenStream,
) -> syn::Result<Vec<TokenStream>> {
    let tag = |tag: &Expr| match as_text(tag) {
        Some(text) => Ok(Template::parse(text, function)?.to_text(krate)),
        None => Ok(quote!(#krate::Tag::from(#tag))),
    };
    tags.iter().map(tag).collect()
}

fn ttl_of(ttl: &Expr, krate: &TokenStream) -> syn::Result<TokenStream> {
    if let Some(text) = as_text(ttl) {
        let milliseconds = milliseconds(text)?;
        return Ok(quote!(::core::time::Duration::from_millis(#milliseconds)));
    }
    if let Expr::Lit(number) = ttl {
        let message = "a TTL needs a unit (ms, s, m, h, d), as in `ttl = \"5m\"`";
        return Err(syn::Error::new(number.span(), message));
    }
    Ok(quote!(#krate::Ttl::from(#ttl)))
}

/// Every parameter is either part of the key, or said not to be.
fn check_parameters(function: &Function, key: &Template, skip: &[Ident]) -> syn::Result<()> {
    let mut faults = Vec::new();
    let mut fault = |at: &Ident, message: String| faults.push(syn::Error::new(at.span(), message));
    for skipped in skip {
        let name = skipped.unraw().to_string();
        if name == "self" {
            fault(skipped, "`self` needs no `skip`".to_owned());
        } else if function.named(&name).is_none() {
            fault(skipped, format!("`{}` has no parameter `{name}`", function.name()));
        } else if key.parameters().any(|parameter| parameter == name) {
            fault(skipped, format!("`{name}` is part of the key, and skipped"));
        }
    }
    let is_open = |parameter: &Ident| {
        let name = parameter.unraw();
        !skip.iter().any(|skipped| skipped.unraw() == name) && !key.parameters().any(|p| name == p)
    };
    for parameter in function.parameters().iter().filter(|parameter| is_open(parameter)) {
        let message = format!(
            "`{parameter}` is not part of the key: calls that differ in it would share one value; \
             put `{{{parameter}}}` into the key, or say `skip({parameter})`"
        );
        fault(parameter, message);
    }
    for parameter in function.generics().iter().filter(|parameter| is_open(parameter)) {
        let message = format!(
            "`{parameter}` is not part of the key: calls that differ in it would share one value; \
             put the parameter or a constant of the type (`{{{parameter}::NAME}}`) into the key, \
             or say `skip({parameter})`"
        );
        fault(parameter, message);
    }
    faults
        .into_iter()
        .reduce(|mut all, fault| {
            all.combine(fault);
            all
        })
        .map_or(Ok(()), Err)
}
