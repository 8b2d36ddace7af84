//! What all campaigns of a workspace achieved together: a value that the application caches
//! itself, beside the responses.

use cache_core::{Cache, Key, Namespace, Tag, minutes, seconds};
use cache_tower::RoutePolicy;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::db::Db;
use crate::problem::Problem;

/// Where such values are kept.
pub(crate) const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5)).by_workspace();

/// The tag, within each workspace, of what is made of all its campaigns: this value, and the
/// responses that show it.
const CAMPAIGNS: &str = "campaigns";

/// How responses that show the sums are kept.
pub(crate) fn responses() -> RoutePolicy {
    RoutePolicy::new(seconds(30)).tag_in_workspace(CAMPAIGNS)
}

/// The sums over a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overview {
    workspace: String,
    campaigns: i64,
    budget: i64,
    sent: i64,
    opened: i64,
    replied: i64,
    /// When the database worked this out: stays put while the cache answers.
    computed_at: String,
}

const SUMS: &str = "
    SELECT ?1,
        (SELECT count(*) FROM campaigns WHERE workspace = ?1),
        (SELECT cast(coalesce(sum(budget), 0) AS INTEGER) FROM campaigns WHERE workspace = ?1),
        count(*) FILTER (WHERE kind = 'sent'),
        count(*) FILTER (WHERE kind = 'opened'),
        count(*) FILTER (WHERE kind = 'replied'),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    FROM events WHERE workspace = ?1";

fn sums(db: &Connection, workspace: &str) -> rusqlite::Result<Overview> {
    db.prepare_cached(SUMS)?.query_row([workspace], |row| {
        Ok(Overview {
            workspace: row.get(0)?,
            campaigns: row.get(1)?,
            budget: row.get(2)?,
            sent: row.get(3)?,
            opened: row.get(4)?,
            replied: row.get(5)?,
            computed_at: row.get(6)?,
        })
    })
}

/// The sums, from the cache or else from the database: asked once, however many wait.
pub(crate) async fn of(cache: &Cache, db: &Db, workspace: &str) -> Result<Overview, Problem> {
    let key = Key::workspace(workspace).segment("overview");
    let (db, name) = (db.clone(), workspace.to_owned());
    let compute = async move || db.run(move |db| sums(db, &name)).await;
    Ok(cache.get_or_compute(ANALYTICS, key, compute).tag(campaigns(workspace)).await?)
}

/// Forgets the sums of a workspace whose campaigns have changed, and the responses that show them.
pub(crate) async fn forget(cache: &Cache, workspace: &str) -> Result<(), Problem> {
    cache.invalidate(campaigns(workspace)).await?;
    Ok(())
}

fn campaigns(workspace: &str) -> Tag {
    Tag::in_workspace(workspace, CAMPAIGNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_one_workspace() -> Result<(), Box<dyn std::error::Error>> {
        let mut db = Connection::open_in_memory()?;
        crate::seed::fill(&mut db)?;
        db.execute_batch(
            "INSERT INTO campaigns VALUES ('new', 1, 'A', 10, ''), ('new', 2, 'B', 5, '');
             INSERT INTO events VALUES
                ('new', 1, 'sent', 9), ('new', 2, 'sent', 9), ('new', 1, 'opened', 10)",
        )?;
        let found = sums(&db, "new")?;
        assert_eq!((found.campaigns, found.budget), (2, 15));
        assert_eq!((found.sent, found.opened, found.replied), (2, 1, 0));
        assert_eq!(sums(&db, "ws9")?.campaigns, 0);
        Ok(())
    }
}
