//! What a store that is watched tells of changes.

use std::fmt;

use crate::clock::Stopwatch;
use crate::coherence::CoherenceMode;

/// Is told what changes in a store. Nothing here waits.
pub trait ChangeSink: fmt::Debug + Send + Sync + 'static {
    /// From here on every change is told. What changed before, and was not told, stays untold.
    /// With the reason why the mode is no better, if there is one.
    fn began(&self, mode: CoherenceMode, fault: Option<String>);

    /// A key was written or removed, or has expired.
    fn changed(&self, key: &[u8]);

    /// Any key may have changed.
    fn all_changed(&self);

    /// All changes from before this moment have been told.
    fn heard_all_before(&self, asked: Stopwatch);

    /// Changes may go untold, until it [began](Self::began) again.
    fn lost(&self, fault: String);
}
