//! What an invalidation is about: checked, and allowed. Pure.

use cache_core::{Key, Pattern, Scope, Tag};

use super::model::{InvalidateRequest, ScopeKind};
use super::principal::Principal;
use super::problem::Problem;

/// The most scopes of one request.
const MOST: usize = 100;
/// The longest text of one, in bytes.
const LONGEST: usize = 512;
/// The most wildcards in one pattern: servers match those with many in a time that grows with a
/// power of their number.
const MOST_WILDCARDS: usize = 8;

/// One thing to invalidate.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: ScopeKind,
    pub(super) name: String,
    /// Of a key, a pattern; and of a namespace itself.
    pub(super) namespace: Option<String>,
    pub(super) scope: Scope,
}

/// What is known of namespaces.
pub(super) struct Namespaces<'n> {
    /// Those of responses; the first is the cache's own.
    pub(super) responses: &'n [String],
    pub(super) is_known: &'n dyn Fn(&str) -> bool,
    /// All keys begin with the workspace.
    pub(super) is_by_workspace: &'n dyn Fn(&str) -> bool,
}

/// What a request is about; a refusal, if any of it is not as it has to be, or not theirs.
pub(super) fn plan(
    request: &InvalidateRequest,
    who: &Principal,
    namespaces: &Namespaces<'_>,
) -> Result<Vec<Target>, Problem> {
    check(request)?;
    let own = who.scope();
    let alone = request.keys.is_empty() && request.patterns.is_empty();
    let own_of_responses = namespaces.responses.first().map(String::as_str).unwrap_or_default();
    let namespace = request.namespace.as_deref().unwrap_or(own_of_responses);
    // As what a request invalidates: wherever layers and routes keep their responses.
    let of_patterns: Vec<&str> = match &request.namespace {
        Some(name) => vec![name],
        None => namespaces.responses.iter().map(String::as_str).collect(),
    };
    let mut targets = Vec::new();
    if let Some(own) = own {
        allow(request, own, namespace, alone, namespaces)?;
    }
    if request.namespace.is_some() && !(namespaces.is_known)(namespace) {
        return Err(Problem::unprocessable("`namespace`: there is none of this name"));
    }
    for key in &request.keys {
        let scope = Scope::key(namespace, Key::from(key));
        targets.push(Target::of(ScopeKind::Key, key, Some(namespace), scope));
    }
    for text in &request.patterns {
        let pattern = pattern(text)?;
        for namespace in &of_patterns {
            let scope = Scope::pattern(namespace, pattern.clone());
            targets.push(Target::of(ScopeKind::Pattern, text, Some(namespace), scope));
        }
    }
    for text in &request.tags {
        let tag = match own.or(request.tags_in.as_deref()) {
            Some(workspace) => Tag::in_workspace(workspace, text),
            None => Tag::new(text),
        };
        targets.push(Target::of(ScopeKind::Tag, text, None, tag.into()));
    }
    if let Some(workspace) = &request.workspace {
        let scope = Scope::workspace(workspace);
        targets.push(Target::of(ScopeKind::Workspace, workspace, None, scope));
    }
    if let Some(name) = request.namespace.as_deref().filter(|_| alone) {
        let scope = Scope::namespace(name);
        targets.push(Target::of(ScopeKind::Namespace, name, Some(name), scope));
    }
    if targets.is_empty() {
        return Err(Problem::unprocessable("nothing is named that could be invalidated"));
    }
    Ok(targets)
}

/// Whether it is well-formed.
fn check(request: &InvalidateRequest) -> Result<(), Problem> {
    let InvalidateRequest { keys, patterns, tags, .. } = request;
    if keys.len() + patterns.len() + tags.len() > MOST {
        return Err(Problem::unprocessable(format!("more than {MOST} scopes at once")));
    }
    let lists = [("keys", keys), ("patterns", patterns), ("tags", tags)];
    let texts = lists.iter().flat_map(|(field, list)| list.iter().map(move |text| (*field, text)));
    let single = [
        ("namespace", request.namespace.as_ref()),
        ("workspace", request.workspace.as_ref()),
        ("tags_in", request.tags_in.as_ref()),
    ];
    let single = single.into_iter().filter_map(|(field, text)| Some((field, text?)));
    for (field, text) in texts.chain(single) {
        if text.is_empty() || text.len() > LONGEST {
            let limits = format!("`{field}`: each is 1 to {LONGEST} bytes long");
            return Err(Problem::unprocessable(limits));
        }
        if text.chars().any(char::is_control) {
            let control = format!("`{field}`: no control characters");
            return Err(Problem::unprocessable(control));
        }
    }
    let alone = keys.is_empty() && patterns.is_empty();
    if request.namespace.is_some() && alone && (!tags.is_empty() || request.workspace.is_some()) {
        let detail = "`namespace` goes with `keys` and `patterns`, or stands alone";
        return Err(Problem::unprocessable(detail));
    }
    if request.tags_in.is_some() && tags.is_empty() {
        return Err(Problem::unprocessable("`tags_in` goes with `tags`"));
    }
    Ok(())
}

/// Whether all of it is of this workspace. What is not, is refused in the same words whether it is
/// there or not.
fn allow(
    request: &InvalidateRequest,
    own: &str,
    namespace: &str,
    alone: bool,
    namespaces: &Namespaces<'_>,
) -> Result<(), Problem> {
    let theirs = |other: &Option<String>| other.as_deref().is_none_or(|other| other == own);
    let first = Key::workspace(own);
    let begins = |rendered: &str| rendered.split(':').next() == Some(first.as_str());
    let of_workspaces = || {
        namespaces.responses.iter().any(|name| name == namespace)
            || ((namespaces.is_known)(namespace) && (namespaces.is_by_workspace)(namespace))
    };
    let allowed = theirs(&request.workspace)
        && theirs(&request.tags_in)
        && !(alone && request.namespace.is_some())
        && (alone || of_workspaces())
        && request.keys.iter().all(|key| begins(Key::from(key).as_str()))
        && request.patterns.iter().all(|text| begins(Pattern::new(text).as_str()));
    if allowed { Ok(()) } else { Err(Problem::forbidden("not all of that is yours")) }
}

fn pattern(text: &str) -> Result<Pattern, Problem> {
    let mut glob = String::new();
    for character in text.chars() {
        // `**` is `*`.
        if character != '*' || !glob.ends_with('*') {
            glob.push(character);
        }
    }
    if glob.matches('*').count() > MOST_WILDCARDS {
        let detail = format!("`patterns`: more than {MOST_WILDCARDS} `*` in one");
        return Err(Problem::unprocessable(detail));
    }
    Ok(Pattern::new(glob))
}

impl Target {
    fn of(kind: ScopeKind, name: &str, namespace: Option<&str>, scope: Scope) -> Self {
        Self { kind, name: name.to_owned(), namespace: namespace.map(str::to_owned), scope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: &str, who: &Principal) -> Result<Vec<Scope>, u16> {
        let request: InvalidateRequest = serde_json::from_str(json).unwrap();
        let namespaces = Namespaces {
            responses: &["api_responses".to_owned(), "pages".to_owned()],
            is_known: &|name| ["api_responses", "pages", "users", "reports"].contains(&name),
            is_by_workspace: &|name| name == "reports",
        };
        let targets = plan(&request, who, &namespaces);
        targets
            .map(|all| all.into_iter().map(|target| target.scope).collect())
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn an_operator_may_name_everything() {
        let all = |json| planned(json, &Principal::operator());
        let pattern = |namespace, glob| Scope::pattern(namespace, Pattern::new(glob));
        for (json, scope) in [
            (r#"{"patterns":["ws1:*"],"namespace":"pages"}"#, pattern("pages", "ws1:*")),
            (r#"{"patterns":["a***b**"],"namespace":"users"}"#, pattern("users", "a*b*")),
            (r#"{"keys":["a:b"],"namespace":"users"}"#, Scope::key("users", "a:b")),
            (r#"{"namespace":"users"}"#, Scope::namespace("users")),
            (r#"{"workspace":"ws1"}"#, Scope::workspace("ws1")),
            (r#"{"tags":["t"]}"#, Tag::new("t").into()),
            (r#"{"tags":["t"],"tags_in":"ws1"}"#, Tag::in_workspace("ws1", "t").into()),
        ] {
            assert_eq!(all(json), Ok(vec![scope]), "{json}");
        }
        let everywhere = ["api_responses", "pages"].map(|name| pattern(name, "ws1:campaigns:*"));
        assert_eq!(all(r#"{"patterns":["ws1:campaigns:*"]}"#), Ok(everywhere.to_vec()));
    }

    #[test]
    fn what_is_not_well_formed_is_refused_as_a_whole() {
        let long = format!(r#"{{"keys":["{}"]}}"#, "x".repeat(LONGEST + 1));
        let many = format!(r#"{{"keys":[{}"k"]}}"#, r#""k","#.repeat(MOST));
        let stars = format!(r#"{{"patterns":["{}"]}}"#, "*a".repeat(MOST_WILDCARDS + 1));
        for json in [
            "{}",
            r#"{"soft":true}"#,
            r#"{"keys":[""]}"#,
            r#"{"keys":["a\u0000b"]}"#,
            r#"{"patterns":["a\n"]}"#,
            r#"{"namespace":"unknown"}"#,
            r#"{"keys":["a"],"namespace":"unknown"}"#,
            r#"{"tags":["a"],"namespace":"users"}"#,
            r#"{"workspace":"a","namespace":"users"}"#,
            r#"{"tags_in":"ws1"}"#,
            &long,
            &many,
            &stars,
        ] {
            assert_eq!(planned(json, &Principal::operator()), Err(422), "{json}");
        }
        assert!(planned(r#"{"patterns":["****************"]}"#, &Principal::operator()).is_ok());
    }

    #[test]
    fn somebody_of_a_workspace_may_name_what_is_of_it_and_nothing_else() {
        let own = |json| planned(json, &Principal::workspace("ws1"));
        for json in [
            r#"{"patterns":["ws1:*"]}"#,
            r#"{"patterns":["ws1:*"],"namespace":"pages"}"#,
            r#"{"patterns":["ws1:c:*:x","ws1"],"namespace":"reports"}"#,
            r#"{"keys":["ws1:a"],"namespace":"reports"}"#,
            r#"{"workspace":"ws1","tags_in":"ws1","tags":["t"]}"#,
        ] {
            assert!(own(json).is_ok(), "{json}");
        }
        assert_eq!(own(r#"{"tags":["t"]}"#), Ok(vec![Tag::in_workspace("ws1", "t").into()]));
        for json in [
            r#"{"patterns":["*"]}"#,
            r#"{"patterns":["ws1*"]}"#,
            r#"{"patterns":["ws?:a"]}"#,
            r#"{"patterns":["ws1:*","ws2:*"]}"#,
            r#"{"patterns":["ws12:*"]}"#,
            r#"{"patterns":[":ws1:*"]}"#,
            r#"{"patterns":["-:*"]}"#,
            r#"{"keys":["ws2:a"],"namespace":"reports"}"#,
            r#"{"keys":["ws1:a"],"namespace":"users"}"#,
            r#"{"keys":["ws1:a"],"namespace":"unknown"}"#,
            r#"{"namespace":"reports"}"#,
            r#"{"namespace":"unknown"}"#,
            r#"{"workspace":"ws2"}"#,
            r#"{"tags":["t"],"tags_in":"ws2"}"#,
        ] {
            assert_eq!(own(json), Err(403), "{json}");
        }
        for escaped in ["-", "a:b", "a*", "%2D"] {
            let json = serde_json::json!({ "patterns": ["-:*", "a:b:*"] }).to_string();
            assert_eq!(planned(&json, &Principal::workspace(escaped)), Err(403), "{escaped}");
        }
    }
}
