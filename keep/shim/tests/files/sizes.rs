//! Sizes, holes, and directories that change while they are listed.

use std::collections::BTreeSet;

use enarx_keep_shim::Error;
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY, SEEK_END,
};

use crate::both::{NOW, error};
use crate::isolation::isolated;

#[test]
fn appended_pieces_add_up() {
    isolated(|both| {
        let file = both.open("f", O_CREAT | O_WRONLY | O_APPEND);
        let mut all = Vec::new();
        for round in 0..200_usize {
            let piece: Vec<u8> = (0..round * 17 + 1)
                .map(|byte| (byte * round) as u8)
                .collect();
            both.write(file, &piece);
            all.extend(piece);
        }
        let file = both.open("f", O_RDONLY);
        let mut read = Vec::new();
        while let Ok(piece) = both.read(file, 70_001)
            && !piece.is_empty()
        {
            read.extend(piece);
        }
        assert!(read == all);
    });
}

#[test]
fn holes_take_no_memory() {
    isolated(|both| {
        let before = both.files.free_bytes();
        let file = both.open("f", O_CREAT | O_RDWR) as u64;
        const FAR: u64 = 1 << 40;
        let bytes = both.memory.fill(0, b"data");
        assert_eq!(both.must(linux::__NR_pwrite64, [file, bytes, 4, FAR]), 4);
        assert_eq!(both.must(linux::__NR_ftruncate, [file, 2 * FAR]), 0);
        assert!(before - both.files.free_bytes() < 8192);
        let seek = linux::__NR_lseek;
        assert_eq!(both.must(seek, [file, 0, SEEK_END.into()]), 2 * FAR as i64);
        let buffer = both.memory.buffer();
        assert_eq!(
            both.must(linux::__NR_pread64, [file, buffer, 100_000, FAR - 50_000]),
            100_000
        );
        both.compare_all();
    });
}

#[test]
fn the_end_of_the_largest_file_is_the_end() {
    isolated(|both| {
        let file = both.open("f", O_CREAT | O_RDWR) as u64;
        let last = i64::MAX as u64;
        let buffer = both.memory.fill(0, b"1234");
        let write = linux::__NR_pwrite64;
        assert_eq!(
            both.must(write, [file, buffer, 1, last]),
            error(Error::EINVAL)
        );
        assert_eq!(
            both.must(write, [file, buffer, 4, last - 3]),
            error(Error::EINVAL)
        );
        assert_eq!(both.must(write, [file, buffer, 4, last - 4]), 4);
        assert_eq!(
            both.must(write, [file, buffer, 1, last + 1]),
            error(Error::EINVAL)
        );
        let append = both.open("f", O_WRONLY | O_APPEND);
        assert_eq!(both.write(append, b"x"), error(Error::EFBIG));
        both.compare_all();
    });
}

#[test]
fn a_directory_can_be_emptied_and_filled_while_it_is_listed() {
    isolated(|both| {
        for number in 0..50 {
            both.make_file(&format!("{number}"), b"");
        }
        let root = both.open("/", O_RDONLY | O_DIRECTORY) as u64;
        let mut seen = BTreeSet::new();
        loop {
            let arguments = [root, both.memory.buffer(), 100, 0, 0, 0];
            let number = linux::__NR_getdents64;
            let listed = both.files.call(&both.memory, number, arguments, NOW);
            let length = listed.unwrap().unwrap() as usize;
            if length == 0 {
                break;
            }
            let listed = both.memory.filled(length);
            let mut rest = &listed[..];
            while !rest.is_empty() {
                let (entry, behind) = rest.split_at(rest[16].into());
                rest = behind;
                let name = entry[19..].split(|byte| *byte == 0).next().unwrap();
                let name = String::from_utf8(name.to_vec()).unwrap();
                if name.starts_with('.') {
                    continue;
                }
                both.make_file(&format!("new{name}"), b"");
                assert_eq!(both.remove(&name, 0), 0);
                assert!(seen.insert(name));
            }
        }
        let expected: BTreeSet<String> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(seen, expected);
        both.compare_all();
    });
}

#[test]
fn times_are_kept_as_they_are_set() {
    isolated(|both| {
        both.make_file("f", b"");
        let times = [7_i64, 8, -9, 999_999_999].map(i64::to_le_bytes);
        let times = both.memory.fill(0, times.as_flattened());
        let path = both.memory.string(0, b"f");
        let arguments = [crate::both::HERE, path, times, 0];
        assert_eq!(both.must(linux::__NR_utimensat, arguments), 0);
        let mut record = [0; 144];
        let buffer = both.memory.fill(0, &record);
        let arguments = [crate::both::HERE, path, buffer, 0, 0, 0];
        let result = both
            .files
            .call(&both.memory, linux::__NR_newfstatat, arguments, NOW);
        assert_eq!(result, Some(Ok(0)));
        record.copy_from_slice(&both.memory.filled(144));
        let field = |offset| i64::from_le_bytes(record[offset..offset + 8].try_into().unwrap());
        let accessed = std::mem::offset_of!(linux::stat, st_atime);
        let modified = std::mem::offset_of!(linux::stat, st_mtime);
        assert_eq!((field(accessed), field(accessed + 8)), (7, 8));
        assert_eq!((field(modified), field(modified + 8)), (-9, 999_999_999));
    });
}
