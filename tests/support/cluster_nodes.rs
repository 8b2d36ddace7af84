//! What `CLUSTER NODES` says of each node.

use crate::redis_cluster::try_command;

/// What a node says of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) is_primary: bool,
    pub(crate) has_failed: bool,
    /// Of two that claim a slot, the one with the greater epoch has it.
    pub(crate) epoch: u64,
    pub(crate) slots: Vec<(u16, u16)>,
}

impl Line {
    /// `id ip:port@bus flags primary ping pong epoch link slots..`
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [id, address, flags, _, _, _, epoch, _, slots @ ..] = &words[..] else { return None };
        let port = address.split('@').next()?.rsplit(':').next()?.parse().ok()?;
        let range = |word: &&str| {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            Some((from.parse().ok()?, to.parse().ok()?))
        };
        Some(Self {
            id: (*id).to_owned(),
            port,
            is_primary: flags.split(',').any(|flag| flag == "master"),
            has_failed: flags.split(',').any(|flag| flag == "fail"),
            epoch: epoch.parse().ok()?,
            slots: slots.iter().filter_map(range).collect(),
        })
    }
}

/// The primary that serves a slot.
pub(crate) fn owner_of(slot: u16, lines: &[Line]) -> Option<&Line> {
    let serves = |line: &&Line| {
        let mut slots = line.slots.iter();
        line.is_primary && slots.any(|(from, to)| (*from..=*to).contains(&slot))
    };
    lines.iter().find(serves)
}

/// What one node says of all.
pub(crate) fn lines_of(port: u16) -> Option<Vec<Line>> {
    let reply = try_command(port, &[b"CLUSTER", b"NODES"]).filter(|reply| !reply.is_error())?;
    Some(reply.text().lines().filter_map(Line::parse).collect())
}
