//! The truth: a version for each row, in a SQLite file that all processes share.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::layout::Row;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates the file, with version 1 of each row.
pub(crate) fn create(path: &Path) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction()?;
    transaction.execute("CREATE TABLE versions (row INTEGER PRIMARY KEY, version INTEGER)", ())?;
    for row in Row::all() {
        transaction.execute("INSERT INTO versions VALUES (?1, 1)", (row.0,))?;
    }
    transaction.commit()
}

/// One connection; it blocks.
#[derive(Debug)]
pub(super) struct Database(Connection);

impl Database {
    pub(super) fn open(path: &str) -> Self {
        Self(open(Path::new(path)).expect("the parent has created it"))
    }

    pub(super) fn version(&self, row: Row) -> u64 {
        let select = self.0.prepare_cached("SELECT version FROM versions WHERE row = ?1");
        let version = select.and_then(|mut select| select.query_row((row.0,), |row| row.get(0)));
        version.map(u32::into).expect("every row has a version")
    }

    /// Raises the versions of some rows in one transaction; the new ones.
    pub(super) fn bump(&mut self, rows: &[Row]) -> Vec<u64> {
        self.try_bump(rows).expect("writers wait for each other")
    }

    fn try_bump(&mut self, rows: &[Row]) -> rusqlite::Result<Vec<u64>> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let update = "UPDATE versions SET version = version + 1 WHERE row = ?1 RETURNING version";
        let bump =
            |row: &Row| transaction.query_row(update, (row.0,), |row| row.get(0)).map(u32::into);
        let versions = rows.iter().map(bump).collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(versions)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // The machine does not lose its power here, and a process that ends loses nothing.
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}
