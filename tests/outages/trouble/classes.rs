//! The errors that Redis has a word for, and the commands that it answers with them.

use super::refuser::{Class, Refuses};

/// Every class of error that a cache may meet.
pub(crate) const CLASSES: [Class; 14] = [
    class("LOADING", "-LOADING Redis is loading the dataset in memory", Refuses::Everything),
    class("MISCONF", "-MISCONF Errors writing to disk; no writes for now", Refuses::Writes),
    class("BUSY", "-BUSY Redis is busy running a script", Refuses::Everything),
    class("READONLY", "-READONLY You can't write against a read only replica", Refuses::Writes),
    class("NOREPLICAS", "-NOREPLICAS Not enough good replicas to write", Refuses::Writes),
    class("MASTERDOWN", "-MASTERDOWN Link with MASTER is down", Refuses::Everything),
    class("CLUSTERDOWN", "-CLUSTERDOWN The cluster is down", Refuses::Everything),
    class("TRYAGAIN", "-TRYAGAIN Multiple keys request during rehashing of slot", Refuses::Data),
    class("OOM", "-OOM command not allowed when used memory > 'maxmemory'", Refuses::Writes),
    class("NOPERM", "-NOPERM User has no permissions to run this command", Refuses::Data),
    class("NOAUTH", "-NOAUTH Authentication required.", Refuses::Everything),
    class("NOSCRIPT", "-NOSCRIPT No matching script.", Refuses::Scripts),
    class("WRONGTYPE", "-WRONGTYPE Operation against a key of the wrong kind", Refuses::Data),
    class("UNEXPECTED TYPE", ":42", Refuses::Data),
];

const fn class(name: &'static str, reply: &'static str, refuses: Refuses) -> Class {
    Class { name, reply, refuses }
}
