// SPDX-License-Identifier: MIT
//! Numbers for names.

/// FNV-1a, as in C++: to tell names apart, not to keep anyone from making two alike.
pub(crate) const fn hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut value = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        value = (value ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::hash;

    // FNV-1a's own examples, which tests/cpp/channel_test.cpp has for C++.
    #[test]
    fn is_that_of_cpp() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
