//! Only what needs no example: a missing one is named. The others are started by other suites.

use cache_tests::Example;

#[test]
#[should_panic(expected = "example no-such-example can't be built")]
fn a_missing_example_is_named() {
    Example::of("no-such-example").start();
}
