//! The function that an attribute is on: its parameters, its return type, its body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{FnArg, GenericParam, ItemFn, Pat, ReturnType, Type};

/// An async function or method.
pub(crate) struct Function {
    item: ItemFn,
    /// What its parameters bind, in order; without `self`.
    parameters: Vec<Ident>,
    /// Type and const parameters.
    generics: Vec<Ident>,
}

impl Function {
    /// `attribute` is for messages.
    pub(crate) fn parse(tokens: TokenStream, attribute: &str) -> syn::Result<Self> {
        let no_function = |span| {
            syn::Error::new(span, format!("`#[{attribute}]` goes on an async function with a body"))
        };
        let span = tokens.span();
        let item: ItemFn = syn::parse2(tokens).map_err(|_| no_function(span))?;
        if item.sig.asyncness.is_none() {
            return Err(no_function(item.sig.fn_token.span));
        }
        let mut parameters = Vec::new();
        for input in &item.sig.inputs {
            if let FnArg::Typed(input) = input {
                bindings(&input.pat, &mut parameters)?;
            }
        }
        let generics = item.sig.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(parameter.ident.clone()),
            GenericParam::Const(parameter) => Some(parameter.ident.clone()),
            GenericParam::Lifetime(_) => None,
        });
        let generics = generics.collect();
        let function = Self { item, parameters, generics };
        if let Some(unnamed) = unnamed(&function.returned()) {
            let message = format!("`#[{attribute}]` needs a return type that can be named");
            return Err(syn::Error::new(unnamed, message));
        }
        Ok(function)
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// What its parameters bind, in order; without `self`.
    pub(crate) fn parameters(&self) -> &[Ident] {
        &self.parameters
    }

    /// Its type and const parameters.
    pub(crate) fn generics(&self) -> &[Ident] {
        &self.generics
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.item.sig.receiver().is_some()
    }

    /// The parameter, or generic parameter, of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Ident> {
        self.parameters.iter().chain(&self.generics).find(|ident| ident.unraw() == name)
    }

    pub(crate) fn returned(&self) -> Type {
        match &self.item.sig.output {
            ReturnType::Type(_, returned) => Type::clone(returned),
            ReturnType::Default => syn::parse_quote!(()),
        }
    }

    pub(crate) fn returns_nothing(&self) -> bool {
        matches!(&self.returned(), Type::Tuple(tuple) if tuple.elems.is_empty())
    }

    /// The same function with another body; `body` makes it of the statements.
    pub(crate) fn with_body(&self, body: impl FnOnce(&TokenStream) -> TokenStream) -> TokenStream {
        let ItemFn { attrs, vis, sig, block, .. } = &self.item;
        let statements = &block.stmts;
        let body = body(&quote!(#(#statements)*));
        quote! {
            #(#attrs)* #vis #sig { #body }
        }
    }
}

/// All names that a pattern binds.
fn bindings(pattern: &Pat, names: &mut Vec<Ident>) -> syn::Result<()> {
    match pattern {
        Pat::Ident(pattern) => {
            names.push(pattern.ident.clone());
            pattern.subpat.iter().try_for_each(|(_, within)| bindings(within, names))
        }
        Pat::Wild(_) | Pat::Rest(_) => Ok(()),
        Pat::Paren(pattern) => bindings(&pattern.pat, names),
        Pat::Reference(pattern) => bindings(&pattern.pat, names),
        Pat::Type(pattern) => bindings(&pattern.pat, names),
        Pat::Tuple(pattern) => pattern.elems.iter().try_for_each(|p| bindings(p, names)),
        Pat::TupleStruct(pattern) => pattern.elems.iter().try_for_each(|p| bindings(p, names)),
        Pat::Slice(pattern) => pattern.elems.iter().try_for_each(|p| bindings(p, names)),
        Pat::Struct(pattern) => pattern.fields.iter().try_for_each(|f| bindings(&f.pat, names)),
        other => {
            // What it binds is not known, so it can't be told whether the key has it.
            let message = "parameters are names, or patterns of names, in a cached function";
            Err(syn::Error::new(other.span(), message))
        }
    }
}

/// Where the type says `impl Trait`.
fn unnamed(returned: &Type) -> Option<Span> {
    fn within(tokens: TokenStream) -> Option<Span> {
        tokens.into_iter().find_map(|token| match token {
            proc_macro2::TokenTree::Ident(ident) if ident == "impl" => Some(ident.span()),
            proc_macro2::TokenTree::Group(group) => within(group.stream()),
            _ => None,
        })
    }
    within(returned.to_token_stream())
}
