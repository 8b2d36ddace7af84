//! The data to begin with: made up, but the same in every run.

use rusqlite::{Connection, params};

/// Workspaces `ws1` to `ws5`.
const WORKSPACES: i64 = 5;
/// Campaigns `1` to `600` in each workspace.
const CAMPAIGNS: i64 = 600;
/// Events, spread over all campaigns.
const EVENTS: i64 = 300_000;

const SCHEMA: &str = "
    CREATE TABLE campaigns (
        workspace  TEXT NOT NULL,
        id         INTEGER NOT NULL,
        name       TEXT NOT NULL,
        budget     REAL NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (workspace, id)
    ) WITHOUT ROWID;
    -- No index: as in many a real service, nobody thought of the statistics
    -- when this table was laid out.
    CREATE TABLE events (
        workspace   TEXT NOT NULL,
        campaign_id INTEGER NOT NULL,
        kind        TEXT NOT NULL,
        delay_ms    INTEGER NOT NULL
    );
";

const INSERT_CAMPAIGNS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 * ?2)
    INSERT INTO campaigns
    SELECT
        'ws' || (1 + i / ?2),
        1 + i % ?2,
        CASE i * 7 % 6
            WHEN 0 THEN 'Spring launch' WHEN 1 THEN 'Founders outreach'
            WHEN 2 THEN 'Win-back'      WHEN 3 THEN 'Webinar follow-up'
            WHEN 4 THEN 'Trial ending'  ELSE 'Partner intro'
        END || ' ' || (1 + i % ?2),
        500 + i * 7919 % 9500,
        '2025-01-01T00:00:00.000Z'
    FROM n";

// 2654435761 / 2^32 is Knuth's multiplicative hash: `h` looks random enough.
const INSERT_EVENTS: &str = "
    WITH RECURSIVE
        n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?3),
        e(i, h) AS (SELECT i, (i * 2654435761 % 4294967296) >> 8 FROM n)
    INSERT INTO events
    SELECT
        'ws' || (1 + i % ?1),
        1 + i / ?1 % ?2,
        CASE
            WHEN h % 100 < 50 THEN 'sent'    WHEN h % 100 < 80 THEN 'opened'
            WHEN h % 100 < 92 THEN 'clicked' WHEN h % 100 < 98 THEN 'replied'
            ELSE 'bounced'
        END,
        200 + h % 977 * (h % 991)
    FROM e";

/// Creates the tables and fills them, in one transaction.
pub(crate) fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    // The file is new and temporary: a crash right now loses nothing.
    connection.pragma_update(None, "synchronous", "off")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute(INSERT_CAMPAIGNS, params![WORKSPACES, CAMPAIGNS])?;
    transaction.execute(INSERT_EVENTS, params![WORKSPACES, CAMPAIGNS, EVENTS])?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workspace_gets_the_same_share() -> rusqlite::Result<()> {
        let mut connection = Connection::open_in_memory()?;
        fill(&mut connection)?;
        let mut query = connection.prepare(
            "SELECT c.workspace, count(*), min(c.id), max(c.id),
                    (SELECT count(*) FROM events e WHERE e.workspace = c.workspace)
             FROM campaigns c GROUP BY c.workspace ORDER BY c.workspace",
        )?;
        let found = query
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?
            .collect::<Result<Vec<(String, i64, i64, i64, i64)>, _>>()?;
        let expected: Vec<_> = (1..=WORKSPACES)
            .map(|n| (format!("ws{n}"), CAMPAIGNS, 1, CAMPAIGNS, EVENTS / WORKSPACES))
            .collect();
        assert_eq!(found, expected);
        Ok(())
    }
}
