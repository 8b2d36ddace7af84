//! Binding, printing and stopping, the same for every example.

use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Prints a line to standard output, at once.
///
/// Unlike `println!` it doesn't panic once whoever started the program has
/// closed the pipe.
pub fn say(line: impl std::fmt::Display) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Prints a line to standard error; a closed pipe is no reason to stop.
pub fn complain(line: impl std::fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Listens on `address` and reports where: port 0 has become a real one.
///
/// The error names the address.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), io::Error> {
    let bind = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind.await.map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("can't listen on {address}: {error}"))
    })
}

/// Resolves with the first of the signals that ask a process to stop: Ctrl-C,
/// and SIGTERM where there is one.
///
/// The handlers are in place when this returns, not only once the future is
/// polled, so a signal in between isn't lost.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
