// SPDX-License-Identifier: MIT
//! Numbers for names.

/// The number that a join says for a channel's name ([`PayloadType::hash`]): for programs that join
/// without a [`Channel`], and compare it themselves. FNV-1a of its bytes, as in C and C++: to tell
/// names apart, not to keep anyone from making two alike.
///
/// ```
/// const QUOTES: u64 = zbq::type_hash("quote/1");
/// let channel = zbq::Channel::<u64>::new("quote/1");
/// assert_eq!(channel.payload_type().hash, QUOTES);
/// ```
///
/// [`PayloadType::hash`]: crate::PayloadType::hash
/// [`Channel`]: crate::Channel
pub const fn type_hash(name: &str) -> u64 {
    hash_on(0xcbf2_9ce4_8422_2325, name.as_bytes())
}

pub(crate) const fn hash_on(mut value: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        value = (value ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::type_hash;

    // FNV-1a's own examples, which tests/cpp/channel_test.cpp has for C++.
    #[test]
    fn is_that_of_cpp() {
        assert_eq!(type_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(type_hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
