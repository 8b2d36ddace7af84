//! Redis' own tracking, in broadcast mode: it pushes the name of every key under the prefix that
//! changes, whoever has read it.

use std::sync::Arc;

use bb8_redis::redis::aio::SendError;
use bb8_redis::redis::{ConnectionAddr, PushInfo, PushKind, Value, cmd};
use tokio::sync::Notify;

use super::{Ended, PATIENCE, Session, patiently};
use crate::clock::Stopwatch;
use crate::coherence::CoherenceMode;
use crate::error::{Error, ErrorKind};
use crate::store::ChangeSink;
use crate::store::redis::dial::Wire;

/// How often a sign of life is asked for.
const PING_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// One session, until its end.
pub(super) async fn run(session: &Session) -> Ended {
    match begin(session).await {
        Ok((connection, address, gone)) => go_on(session, connection, &address, &gone).await,
        Err(ended) => ended,
    }
}

async fn begin(session: &Session) -> Result<(Wire, ConnectionAddr, Arc<Notify>), Ended> {
    let gone = Arc::<Notify>::default();
    let pushed = {
        let (sink, gone) = (Arc::clone(&session.sink), Arc::clone(&gone));
        move |push| {
            take_in(&*sink, &gone, push);
            Ok::<(), SendError>(())
        }
    };
    let settings = &session.settings;
    let connecting = settings.connect_for_pushes(pushed, PATIENCE);
    let (mut connection, address) = patiently(connecting, settings.connection_timeout).await?;
    let mut track = cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(format!("{}:", session.prefix));
    patiently(track.query_async::<()>(&mut connection), PATIENCE).await?;
    Ok((connection, address, gone))
}

async fn go_on(
    session: &Session,
    mut connection: Wire,
    address: &ConnectionAddr,
    gone: &Notify,
) -> Ended {
    session.sink.began(CoherenceMode::Tracking, None);
    let ping = cmd("PING");
    loop {
        // A change that Redis tells of behind its answer was made after the question came in: it
        // sends what it has to tell at the end of each round, and reads questions at its start.
        let asked = Stopwatch::start();
        match patiently(ping.query_async::<()>(&mut connection), PATIENCE).await {
            Ok(()) => match session.settings.check(address) {
                Ok(()) => session.sink.heard_all_before(asked),
                // It answers, but what happens now happens elsewhere.
                Err(error) => return Ended::lost(error),
            },
            Err(Ended::Refused(error) | Ended::Lost { error, .. }) => return Ended::lost(error),
        }
        tokio::select! {
            () = tokio::time::sleep(PING_EVERY) => {}
            () = gone.notified() => {
                let text = "the connection for changes has ended";
                return Ended::lost(Error::new(ErrorKind::Unavailable, text));
            }
        }
    }
}

fn take_in(sink: &dyn ChangeSink, gone: &Notify, push: PushInfo) {
    match push.kind {
        PushKind::Invalidate => match push.data.into_iter().next() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => sink.changed(&key),
                        _ => sink.all_changed(),
                    }
                }
            }
            // All of them, as after a FLUSHALL; and what is not understood may mean anything.
            _ => sink.all_changed(),
        },
        PushKind::Disconnection => gone.notify_one(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn note(&self, what: &str) {
            self.0.lock().unwrap().push(what.to_owned());
        }
    }

    impl ChangeSink for Told {
        fn began(&self, _: CoherenceMode, _: Option<String>) {
            self.note("began");
        }

        fn changed(&self, key: &[u8]) {
            self.note(&String::from_utf8_lossy(key));
        }

        fn all_changed(&self) {
            self.note("all");
        }

        fn heard_all_before(&self, _: Stopwatch) {
            self.note("heard");
        }

        fn lost(&self, _: String) {
            self.note("lost");
        }
    }

    #[test]
    fn what_each_push_means() {
        let key = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let pushes = [
            (vec![Value::Array(vec![key("a"), key("b")])], vec!["a", "b"]),
            (vec![Value::Nil], vec!["all"]),
            (vec![], vec!["all"]),
            (vec![Value::Int(7)], vec!["all"]),
            (vec![Value::Array(vec![key("a"), Value::Int(7)])], vec!["a", "all"]),
            (vec![Value::Array(vec![])], vec![]),
        ];
        for (data, expected) in pushes {
            let (told, gone) = (Told::default(), Notify::new());
            take_in(&told, &gone, PushInfo { kind: PushKind::Invalidate, data });
            assert_eq!(*told.0.lock().unwrap(), expected);
        }
        let told = Told::default();
        let push = PushInfo { kind: PushKind::Other("news".into()), data: vec![key("a")] };
        take_in(&told, &Notify::new(), push);
        assert!(told.0.lock().unwrap().is_empty());
    }
}
