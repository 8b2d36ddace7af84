//! Where Redis refuses to track: those who change something publish the names of the keys.
//!
//! Whoever may track need not publish, and a message may be lost unnoticed; so nothing is ever
//! proven this way, and entries in memory have short lives.

use std::future::poll_fn;
use std::pin::Pin;

use bb8_redis::redis::cmd;
use futures_core::Stream;

use super::announce::{channel, names};
use super::{Ended, PATIENCE, Session, patiently};
use crate::coherence::CoherenceMode;
use crate::error::{Error, ErrorKind};

/// One session, until its end. `refusal` is why it is not a better one.
pub(super) async fn run(session: &Session, refusal: &Error) -> Ended {
    match listen(session, refusal).await {
        Ok(never) | Err(never) => never,
    }
}

async fn listen(session: &Session, refusal: &Error) -> Result<Ended, Ended> {
    let (settings, channel) = (&session.settings, channel(&session.prefix));
    let connecting = settings.connect_as_subscriber();
    let mut subscribed = patiently(connecting, settings.connection_timeout).await?;
    patiently(subscribed.subscribe(&channel), PATIENCE).await?;
    // Whoever may not tell others need not hear of them either: nobody would tell.
    let mut other = patiently(settings.connect_plainly(), settings.connection_timeout).await?;
    let mut publish = cmd("PUBLISH");
    publish.arg(&channel).arg("");
    patiently(publish.query_async::<()>(&mut other), PATIENCE).await?;
    drop(other);

    let _announcing = session.announcer.announce_changes(&session.prefix);
    session.sink.began(CoherenceMode::PubSub, Some(format!("tracking is refused: {refusal}")));
    let mut messages = subscribed.into_on_message();
    while let Some(message) = poll_fn(|cx| Pin::new(&mut messages).poll_next(cx)).await {
        names(message.get_payload_bytes()).for_each(|name| session.sink.changed(name));
    }
    let text = "the connection for changes has ended";
    Ok(Ended::lost(Error::new(ErrorKind::Unavailable, text)))
}
