//! In place of compression, where it is not built in.

use bytes::Bytes;

use super::frame::{Coding, Unreadable};

#[derive(Debug, Clone, Default)]
pub(crate) struct Compressor;

#[allow(clippy::unused_self, reason = "as where it is built in")]
impl Compressor {
    pub(super) fn takes(&self, _: usize) -> bool {
        false
    }

    pub(super) fn compress(&self, _: &[u8]) -> Option<(u8, Vec<u8>)> {
        None
    }
}

pub(super) fn decompress(_: u8, _: &Bytes, _: usize) -> Result<Bytes, Unreadable> {
    Err(Unreadable::UnknownCompression)
}

pub(super) fn inflated(_: Coding, payload: &Bytes) -> usize {
    payload.len()
}
