//! What can't be meant is refused when the service is built, as a bad route is, and says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::http::StatusCode;
use cache_axum::{RoutePolicy, cache_endpoint, invalidate_cache, invalidate_tag};
use cache_core::minutes;
use cache_tower::{HttpCache, Workspace};

use super::in_memory;

/// What a panic says; there has to be one.
fn panics<T>(build: impl FnOnce() -> T) -> String {
    let Err(said) = catch_unwind(AssertUnwindSafe(build)) else { panic!("it was built") };
    match said.downcast::<String>() {
        Ok(said) => *said,
        Err(said) => said.downcast::<&str>().map(|said| (*said).to_owned()).unwrap_or_default(),
    }
}

fn http() -> HttpCache {
    in_memory(|builder| builder)
}

#[tokio::test]
async fn paths_of_the_table() {
    for (path, why) in [
        ("campaigns", "begins with `/`"),
        ("", "begins with `/`"),
        ("/a{id}", "a parameter is a whole segment"),
        ("/{}", "a parameter without a name"),
        ("/{*rest}/a", "nothing comes after the rest"),
    ] {
        for said in [
            panics(|| in_memory(|builder| builder.route(path, minutes(1)))),
            panics(|| in_memory(|builder| builder.never(path))),
        ] {
            assert!(said.contains(why) && said.contains(&format!("{path:?}")), "{said}");
        }
    }
    let twice = panics(|| {
        in_memory(|builder| builder.route("/a/{id}", minutes(1)).route("/a/{other}", minutes(2)))
    });
    assert!(twice.contains("has a rule already"), "{twice}");
    // Never and a policy may both be said of a path: never wins.
    in_memory(|builder| builder.route("/a/{id}", minutes(1)).never("/a/{id}"));
}

#[tokio::test]
async fn holes_that_nothing_fills() {
    for (tag, hole) in [("campaign:{ids}", "ids"), ("{id}:{rest}", "rest"), ("{Id}", "Id")] {
        let policy = || RoutePolicy::new(minutes(1)).tag(tag);
        let said = panics(|| in_memory(|builder| builder.route("/c/{id}/{*rest}", policy())));
        let why = format!("the path has no parameter {hole:?}");
        assert!(said.contains(&why) && said.contains("/c/{id}/{*rest}"), "{said}");
    }
    let fine = RoutePolicy::new(minutes(1)).tag("{workspace_id}:{id}").tag_in_workspace("{{x}}");
    in_memory(|builder| builder.route("/c/{id}", fine.clone()));
}

#[tokio::test]
async fn templates() {
    let http = http();
    for tag in ["", "{", "a}", "{}", "{*rest}", "{a{b}"] {
        for said in [
            panics(|| cache_endpoint(&http, minutes(1)).tag(tag)),
            panics(|| RoutePolicy::new(minutes(1)).tag_in_workspace(tag)),
            panics(|| invalidate_tag(&http, tag)),
        ] {
            assert!(said.contains(&format!("the tag {tag:?}")), "{said}");
        }
    }
    for pattern in ["", "*", "a{b}", "a*"] {
        for said in [
            panics(|| invalidate_cache(&http, pattern)),
            panics(|| invalidate_cache(&http, "a").and(pattern)),
        ] {
            assert!(said.contains(&format!("the pattern {pattern:?}")), "{said}");
        }
    }
}

#[tokio::test]
async fn what_layers_could_not_be_told_apart_by() {
    let http = http();
    let layer = || cache_endpoint(&http, minutes(1));
    let unnamed = Workspace::from_fn(|_, _| None);
    let said = panics(|| layer().workspace(unnamed.clone()));
    assert!(said.contains("without a name") && said.contains("Workspace::named"), "{said}");
    let _named = layer().workspace(unnamed.named("project"));
    let said = panics(|| layer().workspace(Workspace::from_fn(|_, _| None).named("project")));
    assert!(said.contains("\"function project\" is the name of two functions"), "{said}");

    let _plan = layer().key_by("plan", |_| None);
    let said = panics(|| layer().key_by("plan", |_| None));
    assert!(said.contains("\"plan\" is the name of two functions"), "{said}");
    let said = panics(|| layer().key_by_extension("plan", |plan: &String| plan.as_str()));
    assert!(said.contains("\"plan\" is the name of two functions"), "{said}");
    let said = panics(|| layer().key_by("", |_| None));
    assert!(said.contains("needs a name"), "{said}");
    // The rule of the cache itself needs none.
    let own = Workspace::from_fn(|_, _| None);
    let _ = cache_endpoint(&in_memory(move |builder| builder.workspace(own.clone())), minutes(1));
}

#[tokio::test]
async fn values_that_can_not_be() {
    let http = http();
    let layer = || cache_endpoint(&http, minutes(1));
    for value in ["", "max-age=1\r\nx: y", "\0"] {
        let said = panics(|| layer().client_cache_control(value));
        assert!(said.contains("is no Cache-Control"), "{said}");
    }
    for name in ["", "gen", &"x".repeat(65)] {
        let said = panics(|| layer().namespace(name));
        assert!(said.contains(&format!("the namespace {name:?}")), "{said}");
    }
    let said = panics(|| layer().statuses([StatusCode::INTERNAL_SERVER_ERROR]));
    assert!(said.contains("500"), "{said}");
}
