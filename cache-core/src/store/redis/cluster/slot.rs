//! Which slot a key is in. Pure.

/// So many slots are shared out among the nodes of a cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands between braces only, if anything does. (Keys of ours have no
/// braces: segments escape them.)
pub(super) fn slot_of(key: &str) -> u16 {
    crc16(hashed(key)) % SLOTS
}

fn hashed(key: &str) -> &str {
    let between = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    match between {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    }
}

/// CRC-16/XMODEM, as the specification of Redis Cluster asks for.
fn crc16(text: &str) -> u16 {
    text.bytes().fold(0, |crc, byte| {
        let index = usize::from((crc >> 8) ^ u16::from(byte));
        (crc << 8) ^ TABLE.get(index).copied().unwrap_or_default()
    })
}

static TABLE: [u16; 256] = table();

#[allow(clippy::indexing_slicing, reason = "computed by the compiler")]
#[allow(clippy::cast_possible_truncation, reason = "below 256")]
const fn table() -> [u16; 256] {
    const POLYNOMIAL: u16 = 0x1021;
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = (n as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the specification; and slots that redis-server gives.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16("123456789"), 0x31C3);
        for (key, slot) in [("foo", 12182), ("bar", 5061), ("hello", 866), ("", 0)] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }

    #[test]
    fn what_stands_between_the_first_braces_decides() {
        assert_eq!(slot_of("{user1000}.following"), slot_of("user1000"));
        assert_eq!(slot_of("a{b}{c}"), slot_of("b"));
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
        for whole in ["foo{}{bar}", "foo{bar", "foo}bar{"] {
            assert_eq!(hashed(whole), whole);
        }
    }
}
