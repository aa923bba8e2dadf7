//! The block that Keep and host call each other through, in which the other side wrote.
#![no_main]

use std::ptr::NonNull;

use enarx_wire_hostcall::call::{
    ADDRESS_SIZE, BLOCK_SIZE, Caller, MAX_ERROR, Operation, PAYLOAD_OFFSET, Service,
    decode_address, encode_address,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut block = vec![0_u64; BLOCK_SIZE / 8];
    let base: NonNull<u8> = NonNull::new(block.as_mut_ptr()).expect("a vector").cast();
    // SAFETY: the block lives longer than both, has the right size and alignment, and is
    // accessed through them and the pointer alone from here on.
    let (mut caller, service) = unsafe { (Caller::new(base), Service::new(base)) };
    // The words that are used, then the payload.
    let (words, payload) = bytes.split_at(bytes.len().min(88));
    let write = |offset, bytes: &[u8]| {
        // SAFETY: at most 88 bytes at the beginning, or 512 of the payload.
        unsafe {
            bytes
                .as_ptr()
                .copy_to_nonoverlapping(base.as_ptr().add(offset), bytes.len())
        }
    };
    let payload = &payload[..payload.len().min(512)];

    let asked = caller.stage(Operation::Send, [1, 2, 3, 4], &[b"payload"]);
    let asked = asked.expect("it is short").commit();
    write(0, words);
    write(PAYLOAD_OFFSET, payload);
    if let Ok(request) = service.request() {
        let mut copied = vec![0; request.length];
        service.payload(&mut copied);
        let known = copied.len().min(payload.len());
        assert_eq!(copied[..known], payload[..known]);
    }
    let mut answer = [0; 64];
    if let Ok(collected) = asked.collect(100, &mut answer) {
        assert!((-MAX_ERROR..=100).contains(&collected.result));
        let known = collected.length.min(payload.len());
        assert_eq!(answer[..known], payload[..known]);
        assert!(answer[collected.length..].iter().all(|byte| *byte == 0));
    }
    if let Some(encoded) = bytes.first_chunk::<ADDRESS_SIZE>()
        && let Some(address) = decode_address(encoded)
    {
        assert_eq!(encode_address(address), *encoded);
    }
});
