//! The attributes `#[cached]` and `#[invalidates]` of `cache-core`, which exports them with its
//! feature `macros`. They expand to calls of that crate: use them from there.

mod cached;
mod function;
mod hole;
mod invalidates;
mod options;
mod template;
mod ttl;

use proc_macro::TokenStream;
use quote::quote;

/// Caches what an async function or method returns; see `cache_core::decorators`.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, function: TokenStream) -> TokenStream {
    expanded(cached::expand, options, function)
}

/// Invalidates what an async function or method has changed, once it has returned; see
/// `cache_core::decorators`.
#[proc_macro_attribute]
pub fn invalidates(options: TokenStream, function: TokenStream) -> TokenStream {
    expanded(invalidates::expand, options, function)
}

type Tokens = proc_macro2::TokenStream;

/// What replaces the function. If that is an error, the function stays beside it, so that those
/// who call it are no errors, too.
fn expanded(
    expand: impl FnOnce(Tokens, Tokens) -> syn::Result<Tokens>,
    options: TokenStream,
    function: TokenStream,
) -> TokenStream {
    let plain = Tokens::from(function);
    let expanded = expand(options.into(), plain.clone());
    expanded
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote!(#error #plain)
        })
        .into()
}
