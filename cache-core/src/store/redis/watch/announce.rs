//! Publishing the names of the keys that this process changes, for those who can't track.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bb8_redis::redis::Pipeline;

/// Between names in a message; part of none, because rendering escapes control characters.
const BETWEEN: u8 = b'\n';

/// Which prefixes' changes are to be published.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Announcer {
    prefixes: RwLock<Vec<String>>,
    /// So that the usual case costs one load.
    any: AtomicBool,
}

/// Changes are published until it is dropped.
pub(super) struct Announcing {
    announcer: Arc<Announcer>,
    prefix: String,
}

/// Where changes under a prefix are published.
pub(in crate::store::redis) fn channel(prefix: &str) -> String {
    format!("{prefix}:changes")
}

/// The names in a message.
pub(super) fn names(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split(|byte| *byte == BETWEEN).filter(|name| !name.is_empty())
}

impl Announcer {
    /// Changes under this prefix are to be published.
    pub(super) fn announce_changes(self: &Arc<Self>, prefix: &str) -> Announcing {
        let mut prefixes = self.prefixes.write().unwrap_or_else(PoisonError::into_inner);
        prefixes.push(prefix.to_owned());
        self.any.store(true, Ordering::Release);
        Announcing { announcer: Arc::clone(self), prefix: prefix.to_owned() }
    }

    /// Adds to commands that change keys what publishes that; how many commands more.
    pub(in crate::store::redis) fn announce<'k>(
        &self,
        commands: &mut Pipeline,
        keys: &(impl Iterator<Item = &'k str> + Clone),
    ) -> usize {
        if !self.any.load(Ordering::Acquire) {
            return 0;
        }
        let prefixes = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        let mut added = 0;
        for (n, prefix) in prefixes.iter().enumerate() {
            if prefixes.iter().take(n).any(|earlier| earlier == prefix) {
                continue;
            }
            let under =
                |key: &&str| key.strip_prefix(&**prefix).is_some_and(|k| k.starts_with(':'));
            let mut message = Vec::new();
            for key in keys.clone().filter(under) {
                message.extend_from_slice(key.as_bytes());
                message.push(BETWEEN);
            }
            if !message.is_empty() {
                commands.cmd("PUBLISH").arg(channel(prefix)).arg(message);
                added += 1;
            }
        }
        added
    }
}

impl Drop for Announcing {
    fn drop(&mut self) {
        let announcer = &self.announcer;
        let mut prefixes = announcer.prefixes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = prefixes.iter().position(|prefix| *prefix == self.prefix) {
            prefixes.swap_remove(index);
        }
        announcer.any.store(!prefixes.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_the_prefix_are_published_while_that_is_asked_for() {
        let announcer = Arc::<Announcer>::default();
        let publish = |keys: &[&str]| {
            let mut commands = Pipeline::new();
            let added = announcer.announce(&mut commands, &keys.iter().copied());
            assert_eq!(commands.len(), added);
            String::from_utf8(commands.get_packed_pipeline()).unwrap()
        };
        assert_eq!(publish(&["p:a"]), "");
        let announcing = (announcer.announce_changes("p"), announcer.announce_changes("p"));
        let sent = publish(&["p:a", "pp:c", "p:b", "p"]);
        assert!(sent.contains("p:changes") && sent.contains("p:a\np:b\n"), "{sent}");
        assert_eq!(sent.matches("PUBLISH").count(), 1);
        assert_eq!(publish(&["q:a"]), "");
        drop(announcing.0);
        assert!(publish(&["p:a"]).contains("p:a"));
        drop(announcing.1);
        assert_eq!(publish(&["p:a"]), "");
    }

    #[test]
    fn names_come_out_as_they_went_in() {
        assert!(names(b"p:a\np:b\n").eq([&b"p:a"[..], b"p:b"]));
        assert_eq!(names(b"").count(), 0);
    }
}
