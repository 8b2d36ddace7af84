//! The statistics of a campaign: the query that is too slow to run each time.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::campaigns;

/// What one campaign achieved, beside all others of its workspace.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    workspace: String,
    campaign_id: i64,
    sent: i64,
    opened: i64,
    clicked: i64,
    replied: i64,
    bounced: i64,
    /// Its place by replies, 1 being the best.
    rank: i64,
    campaigns: i64,
    /// Median and 95th percentile of the time until a reaction.
    delay_ms: Percentiles,
    workspace_delay_ms: Percentiles,
    /// When the database worked this out: stays put while a cache answers.
    computed_at: String,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: Option<i64>,
    p95: Option<i64>,
}

/// Honest work: reads all events, ranks all campaigns of the workspace and
/// sorts every reaction in it twice.
const STATS: &str = "
    WITH mine AS MATERIALIZED (
        SELECT campaign_id, kind, delay_ms FROM events WHERE workspace = ?1
    ),
    totals AS (
        SELECT campaign_id,
            count(*) FILTER (WHERE kind = 'sent')    AS sent,
            count(*) FILTER (WHERE kind = 'opened')  AS opened,
            count(*) FILTER (WHERE kind = 'clicked') AS clicked,
            count(*) FILTER (WHERE kind = 'replied') AS replied,
            count(*) FILTER (WHERE kind = 'bounced') AS bounced
        FROM mine GROUP BY campaign_id
    ),
    ranked AS (
        SELECT *, rank() OVER (ORDER BY replied DESC) AS rank, count(*) OVER () AS campaigns
        FROM totals
    ),
    delays AS MATERIALIZED (
        SELECT campaign_id, delay_ms,
            percent_rank() OVER (PARTITION BY campaign_id ORDER BY delay_ms) AS here,
            percent_rank() OVER (ORDER BY delay_ms) AS overall
        FROM mine WHERE kind IN ('opened', 'clicked', 'replied')
    )
    SELECT ?1, campaign_id, sent, opened, clicked, replied, bounced, rank, campaigns,
        (SELECT min(delay_ms) FROM delays WHERE campaign_id = ?2 AND here >= 0.50),
        (SELECT min(delay_ms) FROM delays WHERE campaign_id = ?2 AND here >= 0.95),
        (SELECT min(delay_ms) FROM delays WHERE overall >= 0.50),
        (SELECT min(delay_ms) FROM delays WHERE overall >= 0.95),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    FROM ranked WHERE campaign_id = ?2";

/// The statistics of one campaign, if the workspace has it. Slow.
pub(crate) fn campaign_stats(
    db: &Connection,
    workspace: &str,
    id: i64,
) -> rusqlite::Result<Option<Stats>> {
    if campaigns::find(db, workspace, id)?.is_none() {
        return Ok(None);
    }
    db.prepare_cached(STATS)?
        .query_row(params![workspace, id], |row| {
            Ok(Stats {
                workspace: row.get(0)?,
                campaign_id: row.get(1)?,
                sent: row.get(2)?,
                opened: row.get(3)?,
                clicked: row.get(4)?,
                replied: row.get(5)?,
                bounced: row.get(6)?,
                rank: row.get(7)?,
                campaigns: row.get(8)?,
                delay_ms: Percentiles { p50: row.get(9)?, p95: row.get(10)? },
                workspace_delay_ms: Percentiles { p50: row.get(11)?, p95: row.get(12)? },
                computed_at: row.get(13)?,
            })
        })
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_ranks_and_percentiles() -> Result<(), Box<dyn std::error::Error>> {
        let mut db = Connection::open_in_memory()?;
        crate::seed::fill(&mut db)?;
        assert!(campaign_stats(&db, "ws1", 601)?.is_none());
        assert!(campaign_stats(&db, "ws9", 1)?.is_none());

        // Two campaigns of their own: five reactions, and none at all.
        db.execute_batch(
            "INSERT INTO campaigns VALUES ('new', 1, 'A', 1, ''), ('new', 2, 'B', 1, '');
             INSERT INTO events VALUES
                ('new', 1, 'sent', 9), ('new', 2, 'sent', 9), ('new', 1, 'opened', 10),
                ('new', 1, 'opened', 20), ('new', 1, 'clicked', 30), ('new', 1, 'replied', 40),
                ('new', 1, 'replied', 50), ('new', 2, 'bounced', 9)",
        )?;
        let first = campaign_stats(&db, "new", 1)?.ok_or("the first is missing")?;
        assert_eq!([first.sent, first.opened, first.clicked, first.replied], [1, 2, 1, 2]);
        assert_eq!((first.rank, first.campaigns), (1, 2));
        assert_eq!((first.delay_ms.p50, first.delay_ms.p95), (Some(30), Some(50)));
        let second = campaign_stats(&db, "new", 2)?.ok_or("the second is missing")?;
        assert_eq!((second.rank, second.bounced, second.delay_ms.p50), (2, 1, None));
        assert_eq!(second.workspace_delay_ms.p50, Some(30));
        Ok(())
    }
}
