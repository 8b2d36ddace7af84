//! What the compiler says about mistakes. `TRYBUILD=overwrite cargo test -p cache-macros` writes
//! the messages down anew.

#[test]
fn mistakes_are_named() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
