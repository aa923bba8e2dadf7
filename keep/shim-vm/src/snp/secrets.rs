//! The secrets page (AMD #56860, 8.17.2.5, table "Secrets Page Format").

use enarx_wire_launch::PAGE_SIZE;
use zeroize::{Zeroize as _, Zeroizing};

/// Takes the key for messages of the most privileged level, `VMPCK0`, out of the page, in which no
/// key is left. None if the page is of a version that has none.
pub fn take_key(page: &mut [u8; PAGE_SIZE]) -> Option<Zeroizing<[u8; KEY_SIZE]>> {
    let [a, b, c, d, ..] = *page;
    let keys = &mut page[KEYS..KEYS + 4 * KEY_SIZE];
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    key.copy_from_slice(&keys[..KEY_SIZE]);
    keys.zeroize();
    (u32::from_le_bytes([a, b, c, d]) >= LEAST_VERSION).then_some(key)
}

/// Size of a key in bytes.
pub const KEY_SIZE: usize = 32;

const LEAST_VERSION: u32 = 2;

/// Where the keys of the four levels lie.
const KEYS: usize = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_taken_and_none_is_left() {
        let mut page = [0; PAGE_SIZE];
        page[0] = 3;
        page[0x20..0xA0].fill(7);
        page[0x20] = 1;
        page[0xA0] = 9;
        let key = take_key(&mut page).unwrap();
        assert_eq!((key[0], key[31]), (1, 7));
        assert!(page[0x20..0xA0].iter().all(|byte| *byte == 0));
        assert_eq!(page[0xA0], 9);
        page[0] = 1;
        assert!(take_key(&mut page).is_none());
    }
}
