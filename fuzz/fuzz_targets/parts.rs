//! Several files in one input: each is behind its length, two bytes in little-endian order.

/// Takes the first of them off; what is missing of it is left out.
pub fn part<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = input.split_first_chunk() else {
        return std::mem::take(input);
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (part, rest) = rest.split_at(length);
    *input = rest;
    part
}
