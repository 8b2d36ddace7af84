//! A few SQLite connections and a way to use them from async code.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// How many queries run at the same time; others wait their turn.
const CONNECTIONS: usize = 4;

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    shared: Arc<Shared>,
    /// One permit per connection that may be open.
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Db {
    /// Creates `file`, lets `prepare` write to it, and opens it for use.
    pub(crate) async fn create(
        file: PathBuf,
        prepare: fn(&mut Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, DbError> {
        let shared = Shared { file, idle: Mutex::default() };
        let shared = spawn_blocking(move || {
            prepare(&mut Connection::open(&shared.file)?)?;
            // Readers and the writer don't block each other. The file remembers.
            shared.open()?.pragma_update(None, "journal_mode", "wal")?;
            Ok::<_, rusqlite::Error>(shared)
        })
        .await??;
        Ok(Self { shared: Arc::new(shared), turns: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs `query` with a connection, on a thread that may block.
    ///
    /// A query goes on to its end even if the caller stops waiting; its turn
    /// ends with the query, so abandoned queries count as well.
    pub(crate) async fn run<T, F>(&self, query: F) -> Result<T, DbError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| DbError::Closed)?;
        let shared = Arc::clone(&self.shared);
        let result = spawn_blocking(move || {
            let _turn = turn;
            let connection = match shared.take() {
                Some(connection) => connection,
                None => shared.open()?,
            };
            let result = query(&connection);
            shared.put(connection);
            result
        });
        Ok(result.await??)
    }
}

impl Shared {
    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.file)?;
        // With WAL this survives a crash of the process, and writes stay quick.
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(connection)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Why there is no answer from the database.
#[derive(Debug)]
pub(crate) enum DbError {
    /// SQLite refused or failed.
    Sqlite(rusqlite::Error),
    /// The thread that ran the query panicked, or the runtime is stopping.
    Thread(JoinError),
    /// The pool takes no more queries.
    Closed,
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Thread(error) => error.fmt(f),
            Self::Closed => f.write_str("the database is closed"),
        }
    }
}

impl std::error::Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<JoinError> for DbError {
    fn from(error: JoinError) -> Self {
        Self::Thread(error)
    }
}
